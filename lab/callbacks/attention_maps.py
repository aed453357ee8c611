"""Where every head looks, as pictures over training: on real text, on repeated tokens, and as one number a head."""

from __future__ import annotations

import re

import lightning as L

from lab.callbacks.instrument import Instrument
from lab.callbacks.outlets import Outlets
from lab.callbacks.recording import Recording, recording, token_labels
from lab.figures.attention import draw_attention, draw_head_grid, draw_head_scores
from lab.interp import (
    HeadScore,
    attention_entropy,
    attention_patterns,
    duplicate_token_score,
    first_token_attention,
    induction_score,
    previous_token_score,
)
from lab.training.module import PretrainingModule

_HEAD = re.compile(r"(\d+)\.(\d+)")


class AttentionMaps(Instrument):
    """Draws where every head looks, for the dashboards.

    `attention/text` and `attention/repeated` show all heads, `attention/scores` what each does, and the heads asked
    for are drawn large.

    Nothing is computed where there is no dashboard; the run directory's `probes/` have the patterns anyway.

    Args:
        every: Optimizer steps between pictures after the log-spaced start; 0: none; None: half of the run.
        heads: Heads to draw large, as LAYER.HEAD: ["1.3"].
    """

    group = "attention_maps"
    per_run = 2

    def __init__(self, every: int | None = None, heads: list[str] | None = None) -> None:
        problems = self.problems(every)
        matches = {head: _HEAD.fullmatch(head) for head in heads or []}
        problems += [
            f"attention_maps.heads has {head!r}: write layer and head, counted from 0, as '1.3'"
            for head, match in matches.items()
            if match is None
        ]
        if problems:
            raise ValueError("\n".join(problems))
        super().__init__(every)
        self.heads = [(int(match[1]), int(match[2])) for match in matches.values() if match]

    def look(self, trainer: L.Trainer, module: PretrainingModule, step: int) -> None:
        """Draw."""
        outlets = self.outlets(trainer)
        if not outlets:
            return
        found = recording(trainer)
        when = outlets.when(step)
        patterns = attention_patterns(found.text)[:, 0]
        outlets.picture(
            "attention/text",
            lambda: draw_head_grid(patterns, title="Attention on a validation text", remark=when),
            step,
        )
        if found.repeated is not None:
            repeated = attention_patterns(found.repeated)[:, 0]
            outlets.picture(
                "attention/repeated",
                lambda: draw_head_grid(
                    repeated,
                    title="Attention on random tokens, written twice",
                    remark=f"{when}; an induction head draws a stripe {found.period} - 1 tokens under the diagonal",
                ),
                step,
            )
        scores = {name: (score.values, score.chance) for name, score in head_scores(found).items()}
        outlets.picture(
            "attention/scores",
            lambda: draw_head_scores(scores, numbers=False, remark=f"{when}; chance: attending evenly"),
            step,
        )
        self._draw_asked_for(outlets, found, trainer, when, step)

    def _draw_asked_for(self, outlets: Outlets, found: Recording, trainer: L.Trainer, when: str, step: int) -> None:
        for layer, head in self.heads:
            config = found.text.config
            if layer >= config.n_layers or head >= config.n_heads:
                raise ValueError(
                    f"attention_maps.heads has {layer}.{head}: the model has layers 0 to {config.n_layers - 1},"
                    f" heads 0 to {config.n_heads - 1}"
                )
            pattern = found.text["pattern", layer][0, head].cpu().numpy()
            labels = token_labels(trainer.datamodule, found.text.tokens[0].tolist())  # type: ignore[attr-defined]
            outlets.picture(
                f"attention/layer{layer}.head{head}",
                lambda p=pattern, t=labels, n=f"Layer {layer}, head {head}": draw_attention(p, t, title=n, remark=when),
                step,
            )


def head_scores(found: Recording) -> dict[str, HeadScore]:
    """One number for each head: spread and sink on text, and, where there are repeated tokens, the three that
    tell what it looks for."""
    scores = {"entropy": attention_entropy(found.text), "first token": first_token_attention(found.text)}
    if found.repeated is None or found.period is None:
        return scores | {"previous token": previous_token_score(found.text)}
    return scores | {
        "previous token": previous_token_score(found.repeated, found.period),
        "same token before": duplicate_token_score(found.repeated, found.period),
        "induction": induction_score(found.repeated, found.period),
    }
