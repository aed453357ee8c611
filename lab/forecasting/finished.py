"""What finished runs say about the next one: the same law as the ladder's, through runs that cost nothing more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lab.forecasting.ladder import computing_parameters
from lab.forecasting.law import Trained
from lab.model import GPTConfig
from lab.runs import Run, list_runs, metrics
from lab.runs.facts import dig
from lab.runs.validation import curve_metric

NEWEST_RUNS = 40  # of which finished ones are looked for: reading one takes some milliseconds
MUST_AGREE = (
    "model.optimizer.name",
    "model.schedule.kind",
    "data.context_length",
    "data.repeat_first_batch",
)
"""Settings that a law does not know and that move the loss by more than its interval: runs that differ there are left
out. Learning rates and the like are taken as they come, and widen it."""


@dataclass(frozen=True)
class Finished:
    """Runs that count, and why the others do not, a sentence for each run that is left out."""

    runs: list[Trained]
    names: list[str]
    left_out: dict[str, str]


def earlier_runs(root: str, facts: Mapping[str, Any], settings: Mapping[str, Any]) -> Finished:
    """The finished runs under `root` that were trained on the text and vocabulary of `facts` (data.json)."""
    return finished_runs(
        list_runs(root)[-NEWEST_RUNS:],
        corpus=facts["corpus"]["fingerprint"],
        tokenizer=facts["tokenizer"]["fingerprint"],
        validation=facts["validation"]["tokens"],
        settings=settings,
    )


def finished_runs(
    runs: Iterable[Run], *, corpus: str, tokenizer: str, validation: int, settings: Mapping[str, Any]
) -> Finished:
    """Those of `runs` that were trained to their end on this text and vocabulary, as a law takes them.

    Args:
        corpus, tokenizer: Fingerprints, as in data.json.
        validation: Validation tokens: losses on another part of the text do not compare.
        settings: Dotted settings of the run to be forecast; `MUST_AGREE` has to.
    """
    found, names, left_out = [], [], {}
    for run in runs:
        try:
            trained = _trained(run, corpus, tokenizer, validation, settings)
        except (_LeftOut, ValueError, OSError) as why:
            left_out[run.name] = str(why)
        else:
            found.append(trained)
            names.append(run.name)
    return Finished(found, names, left_out)


class _LeftOut(Exception):
    pass


def _trained(run: Run, corpus: str, tokenizer: str, validation: int, settings: Mapping[str, Any]) -> Trained:
    status, data = run.status(), run.data() or {}
    if status.recorded_state != "completed":
        raise _LeftOut(f"it is {status.state}, not completed")
    if status.parent:
        raise _LeftOut("it began from another run's weights")
    if dig(data, "corpus", "fingerprint") != corpus:
        raise _LeftOut("it learned from another text")
    if dig(data, "tokenizer", "fingerprint") != tokenizer:
        raise _LeftOut("it has another vocabulary")
    if dig(data, "validation", "tokens") != validation:
        raise _LeftOut("it was validated on another part of the text")
    seams = run.seams()
    if seams is not None and seams.decisive:
        raise _LeftOut(f"it was {next(iter(seams.decisive))} of its own")
    config = run.config() or {}
    for name in MUST_AGREE:
        theirs = dig(config, *name.split("."))
        if name in settings and theirs != settings[name]:
            raise _LeftOut(f"its {name} is {theirs}")
    history = run.metrics()
    ends, whole = history.series(metrics.VAL_LOSS)
    if not whole or status.step is None or ends[-1] != status.step:
        raise _LeftOut("its loss at the end was not measured on the whole split, or is not finite")
    steps, losses = history.series(curve_metric(history))
    # A subset's curve lies beside the whole split's by about the same factor all along: at the end both are known.
    scale = whole[-1] / losses[-1] if steps[-1] == status.step and losses[-1] else 1.0
    weights = run.snapshots() or run.checkpoints()
    if not weights:
        raise _LeftOut("nothing tells the shape of its model: it has neither snapshots nor checkpoints")
    try:
        parameters = computing_parameters(GPTConfig(**weights[-1].model_config))
    except TypeError:
        raise _LeftOut("its model's configuration is of another version") from None
    curve = tuple((s / status.step, scale * loss) for s, loss in zip(steps, losses, strict=True) if status.step)
    seconds = max(history.series("time")[1], default=0.0)
    return Trained(parameters, status.tokens or 0, whole[-1], curve, seconds)
