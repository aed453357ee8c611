"""Every threshold of every rule, with its meaning and its source, in this one place.

"measured" as a source means: between the values of healthy runs and those of the broken runs of `configs/broken`
(`python scripts/bench.py diagnose` prints both, on runs drawn at random). Override one for a run:

    doctor:
      thresholds: {update_ratio_high: 0.2}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace

from lab.checks import did_you_mean


@dataclass(frozen=True)
class Threshold:
    """A number, what it is compared with, and where it comes from."""

    value: float
    meaning: str
    source: str


def _t(value: float, meaning: str, source: str = "measured") -> Threshold:
    return Threshold(value, meaning, source)


THRESHOLDS: dict[str, Threshold] = {
    "try_steps": _t(40, "planned steps below which a run is a try: its plan and progress are not judged", "chosen"),
    # ---------------------------------------------------------------- start
    "initial_loss_off": _t(
        0.15, "relative distance of the first loss from ln(vocabulary)", "the initial weights keep within 0.05"
    ),
    "initial_loss_far": _t(0.5, "the same, where it is an alarm"),
    "head_spread": _t(1.0, "spread of the untrained logits that a tied head makes: std of its weights x sqrt(width)"),
    "warmup_lr": _t(0.9, "share of the peak learning rate that the first update already has"),
    "warmup_update": _t(0.05, "update / weights of the first update: with Adam it is lr / std of the weights"),
    # ---------------------------------------------------------------- stability
    "spike_z": _t(8.0, "robust z of a loss against the last 50", "as torchtitan's and MosaicML's spike detectors"),
    "spike_rise": _t(0.15, "and its relative rise over their median"),
    "spike_nats": _t(0.1, "and its rise in nats per token: less is no spike"),
    "spike_recovery": _t(0.05, "part of the run within which the loss has to recover from a spike"),
    "spike_back": _t(1.03, "loss / median before the spike at which it counts as recovered"),
    "divergence_rise": _t(0.15, "rise of the smoothed loss over its lowest, as a share of what it had fallen"),
    "divergence_span": _t(0.1, "part of the run that it has to last"),
    "loss_scale_low": _t(
        1.0, "factor on fp16's loss at which small gradients become 0", "Micikevicius et al. 2018, §3.2"
    ),
    # ---------------------------------------------------------------- plateaus
    "plateau_near": _t(0.04, "relative distance of the loss from a baseline that counts as being at it"),
    "plateau_slope": _t(0.02, "relative fall of the loss over the plateau that still counts as flat"),
    "plateau_uniform": _t(0.5, "part of the run at the uniform baseline before it is a warning"),
    "plateau_unigram": _t(0.25, "the same for the unigram baseline"),
    "plateau_bigram": _t(0.4, "the same for the bigram baseline"),
    "baselines_apart": _t(0.05, "relative distance of two baselines below which a plateau is at both"),
    # ---------------------------------------------------------------- learning rate
    "update_ratio_high": _t(
        0.15, "update / weights of a layer, three measurements in a row; healthy peaks: to 0.10, broken: 0.35"
    ),
    "update_ratio_low": _t(1e-3, "largest update / weights of any layer since the warm-up"),
    "lr_low_progress": _t(0.1, "part of the run after which that is judged"),
    "gradient_growth": _t(10.0, "gradient norm, median of the newest tenth / median of the first half"),
    "clip_share": _t(0.95, "share of the steps that were clipped", "Pascanu et al. 2013: clipping is for exceptions"),
    "clip_cut": _t(0.2, "clipping threshold / median gradient norm: what clipping leaves of a usual gradient"),
    # ---------------------------------------------------------------- attention
    "logit_high": _t(50.0, "largest attention logit; healthy small runs: to 25", "Wortsman et al. 2023, fig. 2"),
    "logit_alarming": _t(500.0, "the same, where the softmax is one-hot in any precision"),
    "entropy_collapsed": _t(
        0.05, "attention entropy of a layer / even attention's; healthy: from 0.26", "Zhai et al. 2023"
    ),
    "entropy_uniform": _t(0.999, "the same of all layers at once"),
    "attention_share": _t(3e-4, "norm of what attention adds / norm of the residual stream; healthy: from 0.004"),
    "uniform_progress": _t(0.25, "part of the run after which heads should differ from even attention"),
    # ---------------------------------------------------------------- activations
    "dead_share": _t(0.7, "share of a layer's MLP units that no reference text activates; healthy: to 0.35"),
    "saturated_share": _t(0.7, "share of a layer's MLP units that every token activates; healthy: to 0.46"),
    "unit_looks": _t(3, "measurements in a row; in the first steps a third of the units may be inactive"),
    "resid_norm": _t(300.0, "norm of the residual stream / sqrt(width); healthy runs reach 82"),
    # ---------------------------------------------------------------- generalisation
    "overfit_rise": _t(0.02, "relative rise of val/loss over its best"),
    "overfit_nats": _t(0.02, "and the least rise, in nats per token; an induction task solved to 0.01 varies by 0.004"),
    "overfit_far": _t(0.2, "the same, where it is an alarm"),
    "overfit_gap": _t(0.05, "and how far train/loss lies below val/loss"),
    "overfit_looks": _t(2, "validations in a row"),
    "copied_share": _t(0.9, "longest copied run / length of a sample"),
    "copied_bytes": _t(24, "and its length in bytes: shorter ones occur by chance"),
    "copied_gap": _t(0.3, "and how far train/loss lies below val/loss"),
    # ---------------------------------------------------------------- leaks
    "leak_share": _t(0.5, "share of validation stretches that are in the training text"),
    "leak_below": _t(0.15, "how far val/loss lies below train/loss, without dropout"),
    "leak_nats": _t(0.1, "and how far in nats per token"),
    "leak_progress": _t(0.3, "part of the run after which losses no longer fall that fast"),
    "leak_looks": _t(3, "validations in a row; where the loss falls fast, train/loss lags behind"),
    "future": _t(1e-2, "change of a logit by later tokens / spread of the logits; rounding in bf16 is below 1e-3"),
    "targets_next": _t(0.99, "share of targets that are the next token"),
    "targets_same": _t(0.9, "share of targets that are the present token"),
    "too_good": _t(0.35, "train/loss / bigram baseline within the first epoch"),
    "below_floor": _t(0.95, "val/loss / entropy of a made corpus, which no model can beat"),
    # ---------------------------------------------------------------- data
    "consecutive": _t(0.8, "share of neighbouring sequences that follow each other in the text; by chance: to 0.3"),
    "unseen_share": _t(0.5, "share of the vocabulary that never occurs"),
    "unseen_vocabulary": _t(1000, "and its size: below it unseen rows cost next to nothing (bytes)"),
    # ---------------------------------------------------------------- budget
    "batch_large": _t(
        64.0, "tokens a step / critical batch; healthy small runs: 10 early, 1 late", "McCandlish et al. 2018, fig. 6"
    ),
    "batch_progress": _t(0.2, "part of the run after which it is judged: the critical batch starts at some 60 tokens"),
    "batch_small": _t(0.01, "the same on the other side: a note"),
    "batch_looks": _t(5, "measurements before it is judged"),
    "undertrained": _t(0.1, "planned tokens / parameter; 20 is compute-optimal", "Hoffmann et al. 2022"),
    "short_trained": _t(2.0, "the same, as a note"),
    "overtrained": _t(
        500.0, "planned tokens / parameter: a note; where the curve is flat too, a warning", "Hoffmann et al. 2022"
    ),
    "overtrained_progress": _t(0.2, "part of the run after which a flat curve is judged"),
    "overtrained_gain": _t(0.005, "relative fall of the loss over the last fifth that still counts as flat"),
    # ---------------------------------------------------------------- speed
    "data_share": _t(0.3, "share of the time spent waiting for batches"),
    "speed_looks": _t(3, "measurements in a row"),
    "slower": _t(5.0, "seconds a step / usual ones; a busy machine reaches 4 now and then"),
    "slower_share": _t(0.1, "part of the run that it has to last"),
    # ---------------------------------------------------------------- milestones
    "induction_formed": _t(
        0.5, "attention on the token after the earlier copy", "Olsson et al. 2022; 1 is a perfect head"
    ),
}


def limits(overrides: Mapping[str, float] | None = None) -> SimpleNamespace:
    """The thresholds' values as attributes, some of them replaced.

    Raises `ValueError` naming every override that is no threshold or no number.
    """
    values = {name: threshold.value for name, threshold in THRESHOLDS.items()}
    problems = []
    for name, value in (overrides or {}).items():
        if name not in THRESHOLDS:
            hint = did_you_mean(name, THRESHOLDS, "`python -m lab diagnose --thresholds` lists them")
            problems.append(f"doctor.thresholds has {name!r}: there is no such threshold; {hint}")
        elif isinstance(value, bool) or not isinstance(value, int | float):
            problems.append(f"doctor.thresholds.{name} is {value!r}: give a number")
        else:
            values[name] = float(value)
    if problems:
        raise ValueError("\n".join(problems))
    return SimpleNamespace(**values)
