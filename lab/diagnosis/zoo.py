"""The sick runs of `configs/broken`: which rule is to name each, and what it is called in a quiz.

The zoo teaches what failure looks like, and is the doctor's examination: each disease has to be named by its own rule.
"""

from __future__ import annotations

from dataclasses import dataclass

TWIN = "healthy"
"""The configuration that the others are laid over."""


@dataclass(frozen=True)
class Disease:
    """One sick run.

    Args:
        rule: The rule that has to name it.
        cause: In words, as an answer to "what is wrong here?"; None: no curve could tell, so it is not asked.
        twin: Flags that make its healthy twin out of it where that is not simply `TWIN`.
    """

    rule: str
    cause: str | None
    twin: tuple[str, ...] = ()


ZOO: dict[str, Disease] = {
    "lr_too_high": Disease("lr_too_high", "the learning rate is far too high"),
    "lr_too_low": Disease("lr_too_low", "the learning rate is far too low"),
    "no_warmup": Disease("warmup_missing", "there is no warm-up"),
    "clipping_always": Disease("clipping_always", "every gradient is clipped to almost nothing"),
    "init_too_large": Disease("head_scale", "the initial weights are far too large"),
    "no_mask": Disease("sees_future", "attention has no causal mask"),
    "labels_unshifted": Disease("labels", "targets are the tokens themselves"),
    "labels_late": Disease("labels", "targets are shifted once too often"),
    "leaked_validation": Disease("leakage", "validation text was trained on"),
    "dropout_in_validation": Disease("dropout_in_evaluation", "dropout is on while validating"),
    "unshuffled": Disease("unshuffled", "the text is not shuffled"),
    "overfitting": Disease("overfitting", "a short text is learned by heart"),
    "huge_vocabulary": Disease("unseen_rows", None),
    "dead_units": Disease("dead_units", "the MLPs' units are dead"),
    "saturated_units": Disease("saturated_units", "the MLPs' units are always on"),
    "attention_collapse": Disease("attention_collapse", "attention has collapsed to single tokens"),
    "uniform_heads": Disease("uniform_heads", "attention looks everywhere alike"),
    "attention_cut_off": Disease("attention_idle", "what attention finds is thrown away"),
    "post_norm_deep": Disease(
        "unigram_plateau", "norms after the sum, in a deep model", ("--model.config.norm_position", "pre")
    ),
    "residual_growth": Disease("residual_growth", "the residual stream swells"),
    "slow_data": Disease("data_bound", "the data loader is too slow"),
    "slowing_down": Disease("slowing_down", "another program takes the machine"),
    "batch_too_large": Disease("batch_size", "the batch is far too large"),
    "undertrained": Disease("undertrained", "a large model, a short run"),
    "overtrained": Disease("overtrained", "a tiny model, a long run"),
    "diverging": Disease("divergence", "the warm-up climbs to a rate that nothing survives"),
    "not_finite": Disease("non_finite", None),
    "spike": Disease("loss_spike", "some batches are noise"),
    "same_batch": Disease("repeated_batch", "every step sees the same batch"),
}
