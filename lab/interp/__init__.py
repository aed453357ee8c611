"""Interpretability: pure functions from a model and tokens, or from the activations of one forward pass, to arrays.

The training instruments, the page and notebooks all use this one set.

Record with `run_with_cache(model, tokens, names=…)`, then hand the cache to the analyses; each module names the sites
it needs (`HEAD_SITES`, `LENS_SITES`, …). `ablate` and `activation_patching` run the model themselves, over and over.
Results are frozen dataclasses of NumPy arrays (fp32, int64), copies, which `orjson.dumps(result,
option=orjson.OPT_SERIALIZE_NUMPY)` turns into JSON as they are (infinities become null).

Whatever is run is run in evaluation mode, without gradients or autocast, uncompiled, and leaves model, modes and random
state as they were. Bad input raises ValueError. Nothing here reads runs, files or tokenizers.
"""

from lab.interp.ablation import Ablation, PartMeans, ablate, part_means
from lab.interp.attention import (
    PATTERN_SITES,
    ROW_SITES,
    AttentionRow,
    attention_patterns,
    attention_rollout,
    attention_row,
)
from lab.interp.attribution import ATTRIBUTION_SITES, Attribution, direct_logit_attribution
from lab.interp.cache import ActivationCache, estimate_bytes, run_with_cache
from lab.interp.embeddings import EmbeddingMap, Neighbours, PCABasis, embedding_pca, token_neighbours
from lab.interp.forward import check_tokens
from lab.interp.heads import (
    HEAD_MEASURES,
    HEAD_SITES,
    HeadScore,
    attention_distance,
    attention_entropy,
    duplicate_token_score,
    first_token_attention,
    head_scores,
    induction_score,
    largest_score,
    previous_token_score,
    repeat_scores,
    repeated_random_tokens,
    text_scores,
)
from lab.interp.histograms import (
    HISTOGRAM_SITES,
    Histograms,
    activation_histograms,
    histogram,
    linear_edges,
    symmetric_log_edges,
)
from lab.interp.lens import LENS_SITES, LogitLens, logit_lens
from lab.interp.neurons import (
    EXAMPLE_SITES,
    NEURON_SITES,
    NeuronActivity,
    NeuronExamples,
    neuron_activity,
    neuron_examples,
)
from lab.interp.patching import Patching, activation_patching
from lab.interp.predictions import (
    PREDICTION_SITES,
    InductionLoss,
    TokenPredictions,
    in_context_score,
    induction_loss,
    token_losses,
    token_predictions,
)
from lab.interp.residual import RESIDUAL_SITES, WRITING_SITES, ResidualMap, branch_cosines, head_norms, residual_norms
from lab.interp.summary import SUMMARY_SITES, Summary, record_texts, summarise
from lab.interp.taps import Chain, Edit, Recorder, Sites
