"""What `fit` does, callable from the command line, the page's start, a rehearsal or a notebook alike.

    import lab
    run = lab.fit("quickstart", horizon={"steps": 200}, run={"name": "first"})

Reading order: `listener` (what a fit tells), `origin` (new, resumed or forked), `decisions` (data, levers, steps),
`trainer` (Lightning's, with the lab's callbacks), `lifecycle` (all of it in order), `validate`, `quiet`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lab.fitting.listener import Listener
    from lab.runs import Run

Layer = str | Path | Mapping[str, Any]


def fit(
    config: Layer | Sequence[Layer] | None = None,
    *,
    resume: str | None = None,
    fork: str | None = None,
    listener: Listener | None = None,
    **overrides: Any,
) -> Run:
    """Pretrain a model as `python -m lab fit` does; returns its run directory.

    Args:
        config: A path, the name of a shipped configuration (`"quickstart"`), a mapping, or several of them, each laid
            over the one before. None: the defaults.
        resume: A run to go on with, by name, path, or `last`.
        fork: `RUN@STEP`: a new run that starts from that checkpoint.
        listener: Hears how it goes (`lab.fitting.listener.Listener`); None: nothing is printed.
        overrides: Groups of settings over the configuration: `horizon={"steps": 200}`, or dotted names by
            `**{"model.config.n_layers": 2}`.

    Raises:
        ValueError: for settings that cannot be, one line a problem; nothing was written then.
        NonFiniteLoss: when loss or gradient became NaN or infinite; the run is saved up to the step before.
    """
    from lab.fitting.lifecycle import Fit
    from lab.fitting.quiet import quieten
    from lab.settings.arguments import Arguments

    quieten()
    flags = {name: value for name, value in (("resume", resume), ("fork", fork)) if value is not None}
    done = Fit(Arguments.from_python(config, overrides).with_flags(**flags), listener).train()
    if done.error is not None:
        raise done.error
    return done.run
