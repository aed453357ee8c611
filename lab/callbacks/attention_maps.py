"""Where every head looks, as pictures over training: on real text, on repeated tokens, and as one number a head."""

from __future__ import annotations

import re

import lightning as L

from lab.callbacks.activations import Activations, reference_activations, token_labels
from lab.callbacks.dashboards import Dashboards
from lab.callbacks.instrument import Instrument
from lab.figures.attention import draw_attention, draw_head_grid, draw_head_scores
from lab.interp import attention_patterns, head_scores
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
        dashboards = self.dashboards(trainer)
        if not dashboards:
            return
        found = reference_activations(trainer)
        when = dashboards.when(step)
        patterns = attention_patterns(found.text)[:, 0]
        dashboards.picture(
            "attention/text",
            lambda: draw_head_grid(patterns, title="Attention on a validation text", remark=when),
            step,
        )
        if found.repeated is not None:
            repeated = attention_patterns(found.repeated)[:, 0]
            dashboards.picture(
                "attention/repeated",
                lambda: draw_head_grid(
                    repeated,
                    title="Attention on random tokens, written twice",
                    remark=f"{when}; an induction head draws a stripe {found.period} - 1 tokens under the diagonal",
                ),
                step,
            )
        scores = {
            name.replace("_", " "): (score.values, score.chance)
            for name, score in head_scores(found.text, found.repeated, found.period).items()
            if name != "distance"  # in tokens, the others are shares
        }
        dashboards.picture(
            "attention/scores",
            lambda: draw_head_scores(scores, numbers=False, remark=f"{when}; chance: attending evenly"),
            step,
        )
        self._draw_asked_for(dashboards, found, trainer, when, step)

    def _draw_asked_for(
        self, dashboards: Dashboards, found: Activations, trainer: L.Trainer, when: str, step: int
    ) -> None:
        for layer, head in self.heads:
            config = found.text.config
            if layer >= config.n_layers or head >= config.n_heads:
                raise ValueError(
                    f"attention_maps.heads has {layer}.{head}: the model has layers 0 to {config.n_layers - 1},"
                    f" heads 0 to {config.n_heads - 1}"
                )
            pattern = found.text["pattern", layer][0, head].cpu().numpy()
            labels = token_labels(trainer.datamodule, found.text.tokens[0].tolist())  # type: ignore[attr-defined]
            dashboards.picture(
                f"attention/layer{layer}.head{head}",
                lambda p=pattern, t=labels, n=f"Layer {layer}, head {head}": draw_attention(p, t, title=n, remark=when),
                step,
            )
