"""Where a run will end, in pure numbers: the final validation loss with an interval, said beforehand and scored.

Reading order: `law` (a forecast from trained models), `ladder` (which small models to train for one), `finished`
(runs that cost nothing more), `curve` (a run that trains, from its own losses), `kept` (a plan's forecasts, kept for
the fit), `predictions` (sealed before the first step, scored after the last). Nothing is trained here.
"""
