"""What `plan` says of a run before it starts: its size, its memory, its minutes.

Reading order: `memory` and `sizes` (counted, without a step), `memory_check` (does it fit this machine?), `rehearsal`
(a few real steps of the real fit), `pilots` (small models trained for a forecast), `choose_model` (the largest model
for a given time), `plan` (all of it together). Where a run will end is `lab.forecasting`.

    from lab.planning import size_of
    size_of({"model": {"config": {"n_layers": 6, "n_heads": 6, "d_model": 384}}}).memory.parts()
"""

from lab.planning.sizes import Sizes, size_of

__all__ = ["Sizes", "size_of"]
