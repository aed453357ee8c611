"""Activation patching: how far each activation of one text brings back its answer in another."""

from __future__ import annotations

from typing import Annotated, get_args

from pydantic import Field
from torch import Tensor

from analysis_app.analyses.declaration import Answer, analysis
from analysis_app.analyses.text import MAX_TEXT, Source, read_text
from analysis_app.analyses.token_labels import label
from analysis_app.library import Opened, no_progress
from lab import interp
from lab.interp.ablation import Progress
from lab.interp.patching import PatchSite

SITES: tuple[str, ...] = get_args(PatchSite)
MOST_WORK = 2e13  # floating-point operations: some minutes on two cores
GUESSES = 5
LEAST_DIFFERENCE = 0.05  # of logits or nats: below it, shares of the difference are noise
SHOWN_TOKENS = 80  # of each text, in a refusal


@analysis("patching")
def patching(
    opened: Opened,
    text: str | None,
    other: Annotated[str, Field(description="the second text, of as many tokens", max_length=MAX_TEXT)],
    site: Annotated[str, Field(description=f"one of {', '.join(SITES)}")] = "resid_pre",
    progress: Progress = no_progress,
) -> Answer:
    """How far each layer and position of a first text brings back its answer in a second.

    The answer is the model's own first guess after each text: the metric is how far the logit of the first's lies
    above that of the second's. Where both are the same it is the log-probability of one token: of the five best after
    the first text the one that the second changes most. Raises `ValueError` for texts of unequal length, showing both
    as tokens, and for texts whose answers differ too little to measure a share of the difference.
    """
    if site not in SITES:
        raise ValueError(f"site {site[:40]!r}: choose one of {', '.join(SITES)}")
    clean, corrupt = read_text(opened, text, at_least=2), read_text(opened, other, at_least=2)
    _refuse_unequal(clean, corrupt)
    _refuse_too_much(opened, len(clean.ids))
    asked = ("patching", tuple(clean.ids), tuple(corrupt.ids), site)
    return opened.cached(asked, lambda: _patch(opened, clean, corrupt, site, progress))


def _patch(opened: Opened, clean: Source, corrupt: Source, site: str, progress: Progress) -> Answer:
    with opened.lock:
        pair = interp.run_with_cache(opened.model, [clean.ids, corrupt.ids], interp.PREDICTION_SITES)
        answer, wrong = _answers(pair.logits[:, -1].float().log_softmax(-1))
        found = interp.activation_patching(
            opened.model,
            clean.ids,
            corrupt.ids,
            answer,
            wrong,
            site=site,  # type: ignore[arg-type]
            progress=opened.taking_turns(progress),
        )
    name = label(opened.tokenizer.tokens[answer])
    other = None if wrong is None else label(opened.tokenizer.tokens[wrong])
    metric = f"log-probability of “{name}”" if other is None else f"logit of “{name}” less that of “{other}”"
    if abs(found.clean - found.corrupt) < LEAST_DIFFERENCE:
        raise ValueError(
            f"after the first text the {metric} is {found.clean:.3f}, after the second {found.corrupt:.3f}: too little "
            f"of a difference to look for; change the second"
        )
    return {
        "source": clean,
        "other": corrupt,
        "site": site,
        "answer": name,  # the first guess after the first text
        "wrong": other,  # after the second; None where it is the same
        "metric": metric,
        "clean": found.clean,
        "corrupt": found.corrupt,
        "restored": found.restored,  # [layer, pos] 0: no change, 1: the first text's answer is fully restored
    }


def _answers(log_probabilities: Tensor) -> tuple[int, int | None]:
    """From `[text, vocab]`: the token whose return is measured, and the one it replaces, None where they are equal."""
    answer, wrong = (int(i) for i in log_probabilities.argmax(-1))
    if answer != wrong:
        return answer, wrong
    best = log_probabilities[0].topk(min(GUESSES, log_probabilities.shape[-1])).indices
    change = (log_probabilities[0, best] - log_probabilities[1, best]).abs()
    return int(best[change.argmax()]), None


def _refuse_unequal(clean: Source, corrupt: Source) -> None:
    if len(clean.ids) == len(corrupt.ids):
        return
    first, second = (" | ".join(s.tokens[:SHOWN_TOKENS]) for s in (clean, corrupt))
    raise ValueError(
        f"the first text has {len(clean.ids)} tokens, the second {len(corrupt.ids)}: patching needs equally many, each "
        f"facing its counterpart. First: {first}. Second: {second}"
    )


def _refuse_too_much(opened: Opened, n: int) -> None:
    parameters = sum(p.numel() for p in opened.model.parameters())
    each = 2 * parameters * opened.model.config.n_layers
    if each * n * n > MOST_WORK:
        most = int((MOST_WORK / each) ** 0.5)
        raise ValueError(f"patching {n} tokens of this model takes too long: shorten both texts to {most}")
