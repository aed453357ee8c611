"""Where every head looks, as pictures over training: on real text, on repeated tokens, and as one number a head."""

from __future__ import annotations

import re
from functools import partial

from lab import figures
from lab.callbacks.activations import Activations, reference_activations, token_labels
from lab.callbacks.dashboards import Dashboards
from lab.callbacks.instrument import Instrument
from lab.interp import attention_patterns, head_scores
from lab.training.callback import FitContext

_HEAD = re.compile(r"(\d+)\.(\d+)")


class AttentionMaps(Instrument):
    """Draws where every head looks, for the dashboards.

    `attention/text` and `attention/repeated` show all heads, `attention/scores` what each does, and the heads asked
    for are drawn large.

    Nothing is computed where there is no dashboard; `probes/` in the run directory has the patterns either way.

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

    def look(self, fit: FitContext) -> None:
        """Draw."""
        dashboards = self.dashboards(fit)
        if not dashboards:
            return
        found, step = reference_activations(fit), fit.step
        when = dashboards.when(step)
        patterns = attention_patterns(found.text)[:, 0]
        dashboards.picture(
            "attention/text",
            lambda: figures.draw_head_grid(patterns, title="Attention on a validation text", remark=when),
            step,
        )
        if found.repeated is not None:
            repeated = attention_patterns(found.repeated)[:, 0]
            dashboards.picture(
                "attention/repeated",
                lambda: figures.draw_head_grid(
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
            lambda: figures.draw_head_scores(scores, numbers=False, remark=f"{when}; chance: attending evenly"),
            step,
        )
        self._draw_asked_for(dashboards, found, fit, when)

    def _draw_asked_for(self, dashboards: Dashboards, found: Activations, fit: FitContext, when: str) -> None:
        for layer, head in self.heads:
            config = found.text.config
            if layer >= config.n_layers or head >= config.n_heads:
                raise ValueError(
                    f"attention_maps.heads has {layer}.{head}: the model has layers 0 to {config.n_layers - 1},"
                    f" heads 0 to {config.n_heads - 1}"
                )
            pattern = found.text["pattern", layer][0, head].cpu().numpy()
            labels = token_labels(fit.data, found.text.tokens[0].tolist())
            dashboards.picture(
                f"attention/layer{layer}.head{head}",
                partial(figures.draw_attention, pattern, labels, title=f"Layer {layer}, head {head}", remark=when),
                fit.step,
            )
