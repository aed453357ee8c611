"""The inside of the model on a few fixed texts, at every snapshot: a bundle of arrays, curves, and pictures."""

from __future__ import annotations

from typing import Any

import numpy as np

from lab import figures
from lab.callbacks.activations import Activations, reference_activations, token_labels
from lab.callbacks.dashboards import Dashboards
from lab.callbacks.instrument import Instrument
from lab.callbacks.snapshots import Snapshots
from lab.diagnosis import THRESHOLDS
from lab.files import sweep_temporaries
from lab.interp import (
    LogitLens,
    ResidualMap,
    Summary,
    attention_patterns,
    logit_lens,
    residual_norms,
    summarise,
    token_losses,
)
from lab.runs import metrics
from lab.runs.cadence import Cadence
from lab.runs.events import INDUCTION_HEAD, MILESTONE, Finding
from lab.runs.reference_texts import delete_bundles_beyond, encode_pattern, write_bundle
from lab.training.callback import FitContext

PICTURES = 10  # pictures come with every tenth look, and with all of the log-spaced start
INDUCTION_FORMED = THRESHOLDS["induction_formed"].value

# Names of `lab.interp.Summary.scalars` → metrics. Left out: what another one says already.
METRIC_NAMES = {
    "loss": metrics.STATS_PROBE_LOSS,
    "entropy": metrics.STATS_ENTROPY,
    "first_token": metrics.STATS_FIRST_TOKEN,
    "distance": metrics.STATS_ATTN_DISTANCE,
    "previous_token": metrics.STATS_PREVIOUS_TOKEN,
    "duplicate_token": metrics.STATS_DUPLICATE_TOKEN,
    "induction": metrics.STATS_INDUCTION,
    "largest_score": metrics.STATS_ATTN_LOGIT_MAX,
    "resid_post_norm": metrics.STATS_RESID_NORM,
    "attn_out_norm": metrics.STATS_ATTN_OUT_NORM,
    "mlp_out_norm": metrics.STATS_MLP_OUT_NORM,
    "dead_share": metrics.STATS_DEAD_SHARE,
    "saturated_share": metrics.STATS_SATURATED_SHARE,
    "induction_loss_gap": metrics.STATS_INDUCTION_LOSS_GAP,
    "repeat_loss": metrics.STATS_REPEAT_LOSS,
}


class ReferenceTexts(Instrument):
    """Keeps what the model does with a few fixed texts, at every snapshot.

    Three validation texts and two sequences of repeated random tokens are read in one forward pass. Writes
    `probes/step-….npz` (its format: `lab.runs.reference_texts`) and the metrics `stats/…` (`lab.runs.metrics`); to the
    dashboards the logit lens, each token's loss and the residual stream's norms. The first head that turns into an
    induction head is an event (`finding`), with its step.

    Args:
        every: Optimizer steps between looks after the log-spaced start; 0: none; None: at every snapshot.
            Pictures come with every tenth of them.
    """

    group = "probes"
    per_run = 20

    def __init__(self, every: int | None = None) -> None:
        super().__init__(every)
        self._induction_head: str | None = None

    def planned(self, fit: FitContext) -> Cadence:
        """At the snapshots' steps, unless a cadence is set."""
        snapshots = fit.find(Snapshots)
        return snapshots.cadence if self.every is None and snapshots and snapshots.every != 0 else self.cadence

    def draws(self, fit: FitContext, step: int) -> bool:
        """At few of the looks: the pictures take longer than the rest."""
        return self.cadence.due(step, fit.total_steps, PICTURES)

    def start(self, fit: FitContext) -> None:
        """On a resumed run, forget the bundles of a future that will be trained anew."""
        run = fit.logbook.run
        if self.every != 0 and run.reference_texts_dir.is_dir():
            sweep_temporaries(run.reference_texts_dir)
            delete_bundles_beyond(run, fit.step)
        super().start(fit)

    def look(self, fit: FitContext) -> None:
        """Bundle, numbers, pictures."""
        logbook, found, step = fit.logbook, reference_activations(fit), fit.step
        summary = summarise(found.text, found.repeated, found.period)
        values = named(summary)
        logbook.log(step, values)
        lens = logit_lens(fit.model, found.text, top_k=1)
        norms = residual_norms(found.text)
        losses = token_losses(found.text)
        labels = [token_labels(fit.data, ids) for ids in found.text.tokens.tolist()]
        arrays = bundle(found, summary, lens, norms, values)
        arrays |= {"tokens": logbook.seams.tokens_at(step), "token_strings": np.array(labels, dtype=np.str_)}
        write_bundle(logbook.run, step, arrays)
        self._report_induction(fit, summary)
        dashboards = self.dashboards(fit)
        if dashboards and self.draws(fit, step):
            names = token_labels(fit.data, lens.top_tokens[:, 0, :, 0].ravel().tolist())
            guesses = np.array(names, dtype=object).reshape(lens.top_tokens.shape[0], -1)
            draw(dashboards, step, fit.model.config.vocab_size, labels[0], guesses, lens, norms, losses[0])

    def _report_induction(self, fit: FitContext, summary: Summary) -> None:
        """The first head above the threshold, once a run."""
        found = summary.scores.get("induction")
        if found is None or self._induction_head is not None:
            return
        scores = found.values
        layer, head = (int(i) for i in np.unravel_index(int(scores.argmax()), scores.shape))
        if scores[layer, head] > INDUCTION_FORMED:
            self._induction_head = f"{layer}.{head}"
            score = float(scores[layer, head])
            fit.logbook.event(induction_finding(layer, head, score, found.chance, fit.step))

    def state_dict(self) -> dict[str, str | None]:
        """The induction head that was reported."""
        return {"induction_head": self._induction_head}

    def load_state_dict(self, state_dict: dict[str, str | None]) -> None:
        """So that it is not reported twice."""
        self._induction_head = state_dict["induction_head"]


def induction_finding(layer: int, head: int, score: float, chance: float, step: int) -> Finding:
    """That a head has become an induction head: a milestone, no fault."""
    return Finding(
        rule=INDUCTION_HEAD,
        family=MILESTONE,
        level="note",
        what=f"head {head} of layer {layer} has become an induction head: it looks for earlier copies of the present "
        "token and reads what came after",
        since=step,
        step=step,
        metric=metrics.of_layer(metrics.STATS_INDUCTION, layer),
        value=score,
        threshold=INDUCTION_FORMED,
        why="With it the model goes on with what it has seen before in the same context (Olsson et al. 2022); the loss "
        "falls at the same steps.",
        tries=("look at its attention map before and after", "switch it off, and see what the loss becomes"),
        source="lab/callbacks/reference_texts.py",
        layer=layer,
        head=head,
        chance=chance,
    )


def named(summary: Summary) -> dict[str, float]:
    """The summary's numbers under the names of metrics.jsonl."""
    found = {}
    for name, value in summary.scalars().items():
        base, dot, place = name.partition(".")
        if base in METRIC_NAMES:
            found[METRIC_NAMES[base] + dot + place] = value
    return found


def bundle(
    found: Activations, summary: Summary, lens: LogitLens, norms: ResidualMap, values: dict[str, float]
) -> dict[str, Any]:
    """The arrays of a bundle, but for those that only the fit knows; see `lab.runs.reference_texts`."""
    scores = {name: (score.values, score.chance) for name, score in summary.scores.items()}
    scores["attn_logit_max"] = (summary.largest_score, float("nan"))
    arrays: dict[str, Any] = {}
    if found.repeated is not None:
        arrays = {
            "repeated_ids": found.repeated.tokens.cpu().numpy().astype(np.int32),
            "period": np.int64(found.period or 0),
            "repeated_loss": token_losses(found.repeated),
            "repeated_patterns": encode_pattern(attention_patterns(found.repeated)[:, 0]),
        }
    return arrays | {
        "token_ids": found.text.tokens.cpu().numpy().astype(np.int32),
        "patterns": encode_pattern(attention_patterns(found.text)),
        "token_loss": token_losses(found.text),
        "norm_names": np.array(norms.labels),
        "norms": norms.values,
        "lens_labels": np.array(lens.labels),
        "lens_tokens": lens.top_tokens[..., 0].astype(np.int32),
        "lens_probabilities": lens.top_probabilities[..., 0],
        "score_names": np.array(list(scores)),
        "scores": np.stack([values for values, _ in scores.values()]).astype(np.float32),
        "score_chance": np.array([chance for _, chance in scores.values()], dtype=np.float32),
        "scalar_names": np.array(list(values)),
        "scalars": np.array(list(values.values()), dtype=np.float64),
    }


def draw(
    dashboards: Dashboards, step: int, vocab_size: int, labels: list[str], guesses: np.ndarray, lens: LogitLens,
    norms: ResidualMap, losses: np.ndarray,
) -> None:  # fmt: skip
    """The pictures of the first text."""
    when = dashboards.when(step)
    dashboards.picture(
        "predictions/token_loss", lambda: figures.draw_token_loss(losses, labels, vocab_size, remark=when), step
    )
    dashboards.picture(
        "predictions/logit_lens",
        lambda: figures.draw_logit_lens(
            guesses.tolist(), lens.top_probabilities[:, 0, :, 0], labels, lens.labels, targets=labels[1:],
            remark=f"{when}; first guess for the next token at each depth",
        ),
        step,
    )  # fmt: skip
    shown = {name: norms.values[norms.labels.index(name), :, 0] for name in ("resid_post", "attn_out", "mlp_out")}
    dashboards.picture(
        "residual/norms",
        lambda: figures.draw_residual_norms(
            shown, labels, remark=f"{when}; L2 norms, bars: mean of all tokens but the first"
        ),
        step,
    )
