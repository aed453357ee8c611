"""Checked tokens, and a forward pass that leaves nothing behind."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lab.interp import ablate, logit_lens, record_texts, repeated_random_tokens, run_with_cache, summarise
from lab.interp.forward import analysing, check_index, check_tokens, forward
from lab.model import GPT, GPTConfig
from tests.interp.models import lively, random_tokens
from tests.variants import TINY

CONFIG = GPTConfig(**TINY, dropout=0.2)


@pytest.mark.parametrize(
    "tokens",
    [
        [1, 2, 3],
        [[1, 2, 3]],
        np.array([1, 2, 3], dtype=np.uint16),
        torch.tensor([[1, 2, 3]], dtype=torch.int32),
    ],
)
def test_any_form_of_tokens_becomes_a_batch(tokens: object) -> None:
    checked = check_tokens(CONFIG, tokens)  # type: ignore[arg-type]
    assert checked.dtype == torch.int64
    assert checked.tolist() == [[1, 2, 3]]


def test_checked_tokens_are_a_copy() -> None:
    mine = torch.tensor([[1, 2, 3]])
    check_tokens(CONFIG, mine)[0, 0] = 9
    assert mine[0, 0] == 1


@pytest.mark.parametrize(
    ("tokens", "said"),
    [
        ([1, 65], "token 65 at position 1 of sequence 0 is outside the vocabulary: ids go from 0 to 64"),
        ([[1, 2], [3, -1]], "token -1 at position 1 of sequence 1"),
        (list(range(17)), "17 tokens are more than context_length=16: leave out 1"),
        ([], "0 tokens: give at least 1"),
        ([[1, 2], [3]], "differ in length"),
        ([0.5, 1.0], "give integer ids"),
        (["a"], "give integer ids"),
        ([2**70], "give integer ids"),
        (torch.ones(2, 3), "give integer ids"),
        (torch.ones(2, 3, dtype=torch.bool), "give integer ids"),
        (torch.zeros(2, 2, 2, dtype=torch.int64), r"shape \[2, 2, 2\]"),
        (torch.zeros(0, 4, dtype=torch.int64), r"shape \[0, 4\]"),
    ],
)
def test_bad_tokens_are_refused(tokens: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        check_tokens(CONFIG, tokens)  # type: ignore[arg-type]


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(ValueError, match=r"(?s)20 tokens are more.*token 99 at position 0"):
        check_tokens(CONFIG, [99] * 20)


def test_a_text_of_one_token_is_refused_where_two_are_needed() -> None:
    with pytest.raises(ValueError, match="a text of one token leaves nothing to predict"):
        ablate(lively(CONFIG), [3])


@given(st.recursive(st.integers() | st.floats() | st.none() | st.text(), st.lists, max_leaves=8))
def test_wild_tokens_are_tokens_or_a_value_error(tokens: object) -> None:
    try:
        checked = check_tokens(CONFIG, tokens)  # type: ignore[arg-type]
    except ValueError:
        return
    assert checked.ndim == 2
    assert 0 <= int(checked.min()) <= int(checked.max()) < 65


def test_an_index_counts_from_both_ends() -> None:
    assert [check_index("layer", i, 3) for i in (0, 2, -1, -3)] == [0, 2, 2, 0]
    with pytest.raises(ValueError, match=r"layer 3: there are 3, from 0 to 2"):
        check_index("layer", 3, 3)


def test_modes_gradients_and_random_state_are_as_before() -> None:
    model = GPT(CONFIG)
    model.train()
    model.blocks[0].eval()  # a part that someone froze stays as it was
    before = [module.training for module in model.modules()]
    attributes = {name: set(vars(module)) for name, module in model.named_modules()}
    state = torch.get_rng_state()
    numpy_state = np.random.get_state()[1].copy()  # type: ignore[index]
    tokens = random_tokens(CONFIG)
    cache = run_with_cache(model, tokens)
    logit_lens(model, cache)
    record_texts(model, tokens, repeated_random_tokens(65, 8, 2))
    ablate(model, tokens)
    assert [module.training for module in model.modules()] == before
    assert attributes == {name: set(vars(module)) for name, module in model.named_modules()}
    assert torch.equal(torch.get_rng_state(), state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)
    assert all(parameter.grad is None for parameter in model.parameters())
    assert torch.is_grad_enabled()


def test_modes_are_put_back_after_an_error() -> None:
    model = GPT(CONFIG).train()
    with pytest.raises(RuntimeError), analysing(model):
        raise RuntimeError
    assert all(module.training for module in model.modules())


def test_dropout_and_autocast_play_no_part() -> None:
    model = lively(CONFIG).train()
    tokens = random_tokens(CONFIG)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        first, second = forward(model, tokens), forward(model, tokens)
    assert first.dtype == torch.float32
    assert not first.requires_grad
    assert torch.equal(first, second)
    assert torch.equal(first, forward(lively(CONFIG).eval(), tokens))


def test_a_model_in_bf16_is_analysed_too() -> None:
    model = GPT(CONFIG).to(torch.bfloat16)
    assert np.isfinite(summarise(*record_texts(model, random_tokens(CONFIG))).loss)


@pytest.mark.parametrize("wrapped", [True, False])
def test_nothing_compiled_is_run_or_compiled_again(wrapped: bool) -> None:
    model = GPT(GPTConfig(**TINY))
    compiled = []

    def backend(graph: torch.fx.GraphModule, inputs: object) -> object:
        compiled.append(graph)
        return graph.forward

    tokens = random_tokens(model.config)
    whole = torch.compile(model, backend=backend) if wrapped else model
    if not wrapped:
        model.compile(backend=backend)
        model.blocks[0].compile(backend=backend)
    whole(tokens)
    assert compiled
    n_before = len(compiled)
    cache = run_with_cache(whole, tokens)  # type: ignore[arg-type]
    logit_lens(whole, cache)  # type: ignore[arg-type]
    assert len(cache.names) == len(model.hook_names()) + 1
    whole(tokens)
    assert len(compiled) == n_before


def test_broken_weights_are_named() -> None:
    model = GPT(CONFIG)
    with torch.no_grad():
        model.blocks[1].mlp.down.weight[0, 0] = float("nan")  # type: ignore[union-attr, index, operator]
    with pytest.raises(ValueError, match=r"(?s)not finite.*blocks.1.hook_mlp_out, at index \[0, 0, 0\]"):
        run_with_cache(model, random_tokens(CONFIG))
    with pytest.raises(ValueError, match="not finite"):
        record_texts(model, random_tokens(CONFIG))
