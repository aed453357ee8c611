"""All scalars from one forward pass."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable

import numpy as np
import orjson
import pytest
from torch import Tensor

import lab.interp as interp
from lab.interp import (
    ActivationCache,
    record_texts,
    repeated_random_tokens,
    residual_norms,
    run_with_cache,
    summarise,
)
from lab.interp.forward import forward
from lab.model import GPT, GPTConfig
from tests.interp.models import induction_model, lively, random_tokens
from tests.variants import TINY, all_pairs_configs, describe

CONFIG = GPTConfig(**TINY)


@pytest.mark.parametrize("config", all_pairs_configs(), ids=describe)
@pytest.mark.parametrize("n_pos", [6, 16])
def test_both_kinds_of_sequence_share_one_forward_pass(
    config: GPTConfig, n_pos: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = lively(config)
    text, repeated = random_tokens(config, n_pos=n_pos), repeated_random_tokens(65, 5, batch=3)
    passes = []

    def counted(*args: object) -> Tensor:
        passes.append(args)
        return forward(*args)  # type: ignore[arg-type]

    monkeypatch.setattr("lab.interp.cache.forward", counted)
    found = summarise(*record_texts(model, text, repeated), 5).scalars()
    assert len(passes) == 1
    separate = summarise(run_with_cache(model, text), run_with_cache(model, repeated), 5).scalars()
    assert found.keys() == separate.keys()
    for name, value in found.items():
        assert math.isfinite(value)
        assert value == pytest.approx(separate[name], rel=1e-3, abs=1e-4), name


def test_the_scalars_of_the_induction_model_say_what_it_is() -> None:
    model = induction_model()
    text, repeated = random_tokens(model.config, n_pos=32), repeated_random_tokens(16, 16, 2)
    scalars = summarise(*record_texts(model, text, repeated), 16).scalars()
    assert scalars["induction"] == scalars["induction.layer1"] > 0.99
    assert scalars["previous_token"] == scalars["previous_token.layer0"] > 0.99
    assert scalars["induction.layer0"] < 0.01
    assert scalars["induction_loss_gap"] > 1 > scalars["repeat_loss"]
    assert scalars["mlp_out_norm.layer0"] == 0
    assert scalars["entropy.layer0"] < 0.01  # it looks at one place


def test_a_summary_without_repeated_tokens() -> None:
    found = summarise(*record_texts(lively(CONFIG), random_tokens(CONFIG)))
    assert found.induction_loss is None
    scalars = found.scalars()
    assert "induction" not in scalars
    assert "previous_token.layer1" in scalars


def test_norms_leave_out_the_first_position() -> None:
    model, text = lively(CONFIG), random_tokens(CONFIG)
    every = residual_norms(run_with_cache(model, text))
    found = summarise(*record_texts(model, text))
    assert found.norm_labels == every.labels
    np.testing.assert_allclose(found.norms, every.values[..., 1:].mean((2, 3)), rtol=1e-5)
    assert not np.allclose(found.norms, every.values.mean((2, 3)), rtol=1e-3)


def test_what_cannot_be_summarised_is_refused() -> None:
    model = lively(CONFIG)
    repeated = repeated_random_tokens(65, 5)
    text, twice = record_texts(model, random_tokens(CONFIG), repeated)
    with pytest.raises(ValueError, match="go together"):
        summarise(text, None, 5)
    with pytest.raises(ValueError, match="go together"):
        summarise(text, twice)
    with pytest.raises(ValueError, match="give at least 2"):
        record_texts(model, [1])
    with pytest.raises(ValueError, match="context_length=16"):
        record_texts(model, random_tokens(CONFIG), repeated_random_tokens(65, 9))


# Everything that takes a cache, or a model and one. Post-norm is refused where that is marked.
PRE_NORM_ONLY = {"direct_logit_attribution"}
ANALYSES: dict[str, Callable[[GPT, ActivationCache], object]] = {
    "attention_patterns": lambda model, cache: interp.attention_patterns(cache),
    "attention_rollout": lambda model, cache: interp.attention_rollout(cache),
    "attention_row": lambda model, cache: interp.attention_row(model, cache, 0, 1, 2),
    "attention_entropy": lambda model, cache: interp.attention_entropy(cache),
    "first_token_attention": lambda model, cache: interp.first_token_attention(cache),
    "attention_distance": lambda model, cache: interp.attention_distance(cache),
    "previous_token_score": lambda model, cache: interp.previous_token_score(cache),
    "duplicate_token_score": lambda model, cache: interp.duplicate_token_score(cache, 6),
    "induction_score": lambda model, cache: interp.induction_score(cache, 6),
    "text_scores": lambda model, cache: interp.text_scores(cache),
    "repeat_scores": lambda model, cache: interp.repeat_scores(cache, 6),
    "head_scores": lambda model, cache: interp.head_scores(cache, cache, 6),
    "largest_score": lambda model, cache: interp.largest_score(cache),
    "residual_norms": lambda model, cache: interp.residual_norms(cache),
    "head_norms": lambda model, cache: interp.head_norms(model, cache),
    "branch_cosines": lambda model, cache: interp.branch_cosines(cache),
    "neuron_activity": lambda model, cache: interp.neuron_activity(cache),
    "neuron_examples": lambda model, cache: interp.neuron_examples(model, cache.tokens, 2),
    "activation_histograms": lambda model, cache: interp.activation_histograms(cache),
    "logit_lens": lambda model, cache: interp.logit_lens(model, cache),
    "direct_logit_attribution": lambda model, cache: interp.direct_logit_attribution(model, cache),
    "token_losses": lambda model, cache: interp.token_losses(cache),
    "token_predictions": lambda model, cache: interp.token_predictions(cache),
    "in_context_score": lambda model, cache: interp.in_context_score(interp.token_losses(cache)),
    "induction_loss": lambda model, cache: interp.induction_loss(cache, 6),
    "ablate": lambda model, cache: interp.ablate(model, cache.tokens),
    "part_means": lambda model, cache: interp.part_means(model, cache.tokens),
    "activation_patching": lambda model, cache: interp.activation_patching(
        model, cache.tokens[0], cache.tokens[1], answer=1
    ),
    "token_neighbours": lambda model, cache: interp.token_neighbours(model, [1, 2]),
    "embedding_pca": lambda model, cache: interp.embedding_pca(model),
    "summarise": lambda model, cache: interp.summarise(cache, cache, 6),
}


@pytest.mark.parametrize("config", all_pairs_configs(), ids=describe)
def test_every_analysis_answers_in_json_or_says_why_not(config: GPTConfig) -> None:
    model = lively(config)
    cache = run_with_cache(model, repeated_random_tokens(65, 6, batch=2))
    for name, analysis in ANALYSES.items():
        if name in PRE_NORM_ONLY and config.norm_position == "post":
            with pytest.raises(ValueError, match="does not apply to norm_position='post'"):
                analysis(model, cache)
            continue
        result = analysis(model, cache)
        text = orjson.dumps(result, option=orjson.OPT_SERIALIZE_NUMPY)
        assert b"null" not in text or name in ("attention_row", "summarise"), name
        arrays = [result] if isinstance(result, np.ndarray) else list(getattr(result, "__dict__", {}).values())
        for array in arrays:
            if isinstance(array, np.ndarray):
                assert array.dtype in (np.float32, np.int64), name
                assert array.flags.owndata or array.base.flags.owndata, name


def test_every_public_function_of_a_model_is_among_them() -> None:
    helpers = {
        "run_with_cache", "estimate_bytes", "check_tokens", "repeated_random_tokens", "histogram",
        "linear_edges", "symmetric_log_edges", "record_texts",
    }  # fmt: skip
    functions = {name for name, value in vars(interp).items() if inspect.isfunction(value)}
    assert functions - helpers == set(ANALYSES)
