"""Looking inside a model: pure functions from a model and tokens, or from the activations of one forward
pass, to arrays. The training instruments, the page and notebooks all use this one set.

Record with `run_with_cache(model, tokens, names=…)`, then hand the cache to the analyses; each module names
the sites it needs (`HEAD_SITES`, `LENS_SITES`, …). `ablate` and `activation_patching` run the model
themselves, over and over. Results are frozen dataclasses of NumPy arrays (fp32, int64), copies, which
`orjson.dumps(result, option=orjson.OPT_SERIALIZE_NUMPY)` turns into JSON as they are (infinities become
null).

Whatever is run is run in evaluation mode, without gradients or autocast, uncompiled, and leaves model, modes
and random state as they were. Bad input raises ValueError. This room knows no runs, files or tokenizers.
"""

from lab.interp.ablation import Ablation, ablate
from lab.interp.attention import (
    PATTERN_SITES,
    ROW_SITES,
    AttentionRow,
    attention_patterns,
    attention_rollout,
    attention_row,
    head_average,
)
from lab.interp.attribution import ATTRIBUTION_SITES, Attribution, direct_logit_attribution
from lab.interp.cache import ActivationCache, Stack, estimate_bytes, run_with_cache
from lab.interp.embeddings import EmbeddingMap, Neighbours, PCABasis, embedding_pca, token_neighbours
from lab.interp.forward import check_tokens
from lab.interp.heads import (
    HEAD_SITES,
    SCORE_SITES,
    HeadScore,
    attention_distance,
    attention_entropy,
    duplicate_token_score,
    first_token_attention,
    induction_score,
    largest_score,
    previous_token_score,
    repeated_random_tokens,
)
from lab.interp.lens import LENS_SITES, LogitLens, lens_logits, logit_lens
from lab.interp.patching import Patching, activation_patching
from lab.interp.predictions import (
    PREDICTION_SITES,
    InductionLoss,
    TokenPredictions,
    in_context_score,
    induction_loss,
    loss_by_position,
    token_losses,
    token_predictions,
)
from lab.interp.probe import PROBE_SITES, Probe, Repetition, probe, record_probe, summarise
from lab.interp.residual import RESIDUAL_SITES, WRITING_SITES, ResidualMap, branch_cosines, head_norms, residual_norms
from lab.interp.taps import Chain, Edit, Recorder, Sites
from lab.interp.units import (
    EXAMPLE_SITES,
    HISTOGRAM_SITES,
    UNIT_SITES,
    Histograms,
    UnitActivity,
    UnitExamples,
    activation_histograms,
    histogram,
    linear_edges,
    symmetric_log_edges,
    unit_activity,
    unit_examples,
)

__all__ = [
    "ATTRIBUTION_SITES",
    "EXAMPLE_SITES",
    "HEAD_SITES",
    "HISTOGRAM_SITES",
    "LENS_SITES",
    "PATTERN_SITES",
    "PREDICTION_SITES",
    "PROBE_SITES",
    "RESIDUAL_SITES",
    "ROW_SITES",
    "SCORE_SITES",
    "UNIT_SITES",
    "WRITING_SITES",
    "Ablation",
    "ActivationCache",
    "AttentionRow",
    "Attribution",
    "Chain",
    "Edit",
    "EmbeddingMap",
    "HeadScore",
    "Histograms",
    "InductionLoss",
    "LogitLens",
    "Neighbours",
    "PCABasis",
    "Patching",
    "Probe",
    "Recorder",
    "Repetition",
    "ResidualMap",
    "Sites",
    "Stack",
    "TokenPredictions",
    "UnitActivity",
    "UnitExamples",
    "ablate",
    "activation_histograms",
    "activation_patching",
    "attention_distance",
    "attention_entropy",
    "attention_patterns",
    "attention_rollout",
    "attention_row",
    "branch_cosines",
    "check_tokens",
    "direct_logit_attribution",
    "duplicate_token_score",
    "embedding_pca",
    "estimate_bytes",
    "first_token_attention",
    "head_average",
    "head_norms",
    "histogram",
    "in_context_score",
    "induction_loss",
    "induction_score",
    "largest_score",
    "lens_logits",
    "linear_edges",
    "logit_lens",
    "loss_by_position",
    "previous_token_score",
    "probe",
    "record_probe",
    "repeated_random_tokens",
    "residual_norms",
    "run_with_cache",
    "summarise",
    "symmetric_log_edges",
    "token_losses",
    "token_neighbours",
    "token_predictions",
    "unit_activity",
    "unit_examples",
]
