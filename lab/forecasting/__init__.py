"""What `plan` measures and forecasts before a run starts.

Reading order: `memory_check` (does a step fit?), `rehearsal` (a few real steps of the real fit), `pilots` (a ladder of
small models), `plan` (all of it together). The arithmetic they rest on is `lab.planning`.
"""
