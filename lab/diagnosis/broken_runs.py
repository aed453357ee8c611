"""The runs of `configs/broken`, one for each fault: which rule has to find it, and what it is called in a quiz.

They show what each fault looks like, and test the rules: each fault has to be found by its own rule.
"""

from __future__ import annotations

from dataclasses import dataclass

HEALTHY = "healthy"  # the configuration that the others are laid over


@dataclass(frozen=True)
class BrokenRun:
    """One broken run.

    Args:
        rule: The rule that has to find the fault.
        cause: In words, as an answer to "what is wrong here?"; None: no curve shows it, so it is not asked.
        healthy: Flags that make a healthy run out of it where that is not simply the configuration `HEALTHY`.
    """

    rule: str
    cause: str | None
    healthy: tuple[str, ...] = ()


BROKEN_RUNS: dict[str, BrokenRun] = {
    "lr_too_high": BrokenRun("lr_too_high", "the learning rate is far too high"),
    "lr_too_low": BrokenRun("lr_too_low", "the learning rate is far too low"),
    "no_warmup": BrokenRun("warmup_missing", "there is no warm-up"),
    "clipping_always": BrokenRun("clipping_always", "every gradient is clipped to almost nothing"),
    "init_too_large": BrokenRun("head_scale", "the initial weights are far too large"),
    "no_mask": BrokenRun("sees_future", "attention has no causal mask"),
    "labels_unshifted": BrokenRun("labels", "targets are the tokens themselves"),
    "labels_late": BrokenRun("labels", "targets are shifted twice"),
    "leaked_validation": BrokenRun("leakage", "validation text was trained on"),
    "dropout_in_validation": BrokenRun("dropout_in_evaluation", "dropout is on while validating"),
    "unshuffled": BrokenRun("unshuffled", "the text is not shuffled"),
    "overfitting": BrokenRun("overfitting", "a short text is memorised"),
    "huge_vocabulary": BrokenRun("unseen_rows", None),
    "dead_units": BrokenRun("dead_units", "MLP units are never active"),
    "saturated_units": BrokenRun("saturated_units", "MLP units are always active"),
    "attention_collapse": BrokenRun("attention_collapse", "attention has collapsed to single tokens"),
    "uniform_heads": BrokenRun("uniform_heads", "attention is spread evenly"),
    "attention_cut_off": BrokenRun("attention_idle", "the output of attention is not used"),
    "post_norm_deep": BrokenRun(
        "unigram_plateau", "norms after the sum, in a deep model", ("--model.config.norm_position", "pre")
    ),
    "residual_growth": BrokenRun("residual_growth", "the residual stream keeps growing"),
    "slow_data": BrokenRun("data_bound", "the data loader is too slow"),
    "slowing_down": BrokenRun("slowing_down", "another program takes the machine"),
    "batch_too_large": BrokenRun("batch_size", "the batch is far too large"),
    "undertrained": BrokenRun("undertrained", "a large model, a short run"),
    "overtrained": BrokenRun("overtrained", "a tiny model, a long run"),
    "diverging": BrokenRun("divergence", "the warm-up ends at a learning rate far too high"),
    "not_finite": BrokenRun("non_finite", None),
    "spike": BrokenRun("loss_spike", "some batches are noise"),
    "same_batch": BrokenRun("repeated_batch", "every step sees the same batch"),
}
