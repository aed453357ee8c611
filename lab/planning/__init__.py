"""What a run will cost and where it will end, before it starts.

    from lab.planning import size_of
    size_of({"model": {"config": {"n_layers": 6, "n_heads": 6, "d_model": 384}}}).memory.parts()

Two questions, two rows of files, each importing only those before it. What it costs: `memory` (a step on fake tensors),
`sizes` (parameters, FLOPs, epochs, disk), `inverse` (the largest model for some minutes). Where it ends: `law` (three
numbers through some trainings, an interval), `ladder` (which small trainings), `finished` (runs that are there
already), `curve` (the forecast made anew while a run trains), `store` (plans that were made). Training is not done
here: whoever asks hands in what trains a pilot or measures a speed.
"""

from lab.planning.sizes import Sizes, size_of

__all__ = ["Sizes", "size_of"]
