"""The training recipe: the step, its optimizer and schedule, how long a run is, and what is written about it.

Reading order: `horizon` (the number of steps), `schedules`, `muon`, `optimizers`, `levers` (what the machine does best)
with `keep_memory` and `compiling`, `step` (one optimizer step), `validating` (what a validation measures), `module`
(Lightning's side of both), `bare` (the same without Lightning), `checkpoint_io`, `logbook`, `looking` (what looks may
take), `callback` (what callbacks see of a fit), `deciding` (what a run decides while it trains), `loop` (the short way
through a step).
"""
