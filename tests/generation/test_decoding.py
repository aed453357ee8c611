"""Writing with the cache against the model without it, and against `transformers`' generate."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import GPT2LMHeadModel

from lab.data.vocabulary import ByteTokenizer, CharTokenizer
from lab.exporting import save_gpt2
from lab.generation import Sampling, distribution, draw, stream, stream_text
from lab.model import GPT, GPTConfig
from tests.variants import all_pairs_configs, describe

GREEDY = Sampling(temperature=0, max_new_tokens=12)
PROMPT = [5, 3, 60, 3]


def sharpened(config: GPTConfig) -> GPT:
    """A model whose weights are large enough for its thoughts to differ clearly."""
    torch.manual_seed(0)
    model = GPT(config).eval()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim == 2:
                weight.normal_(std=0.2)
    return model


def tiny(**settings: object) -> GPT:
    sizes = {"n_layers": 2, "n_heads": 2, "d_model": 32, "context_length": 16, "vocab_size": 65}
    return sharpened(GPTConfig(**sizes | settings))  # type: ignore[arg-type]


def tokens_of(model: GPT, prompt: list[int], sampling: Sampling, **options: object) -> list[int]:
    return [step.token for step in stream(model, prompt, sampling, **options)]  # type: ignore[arg-type]


@torch.no_grad()
def without_cache(model: GPT, prompt: list[int], n: int) -> list[int]:
    """Greedy writing, the whole text read anew for each token."""
    tokens = list(prompt)
    for _ in range(n):
        tokens.append(int(model(torch.tensor([tokens]))[0, -1].argmax()))
    return tokens[len(prompt) :]


@pytest.mark.parametrize("config", all_pairs_configs(), ids=describe)
def test_within_the_context_the_cache_changes_nothing(config: GPTConfig) -> None:
    model = sharpened(config)
    written = tokens_of(model, PROMPT, GREEDY)
    assert written == without_cache(model, PROMPT, 12)


@pytest.mark.parametrize("shape", [(2, 2, 32), (3, 4, 64)])
def test_greedy_writing_is_transformers(shape: tuple[int, int, int], tmp_path: Path) -> None:
    layers, heads, width = shape
    model = tiny(n_layers=layers, n_heads=heads, d_model=width, context_length=64, mlp="gelu_tanh")
    save_gpt2(model, tmp_path)
    theirs = GPT2LMHeadModel.from_pretrained(tmp_path).eval()
    tokens = theirs.generate(
        torch.tensor([PROMPT]), max_new_tokens=60, do_sample=False, eos_token_id=None, pad_token_id=0
    )
    written = tokens_of(model, PROMPT, Sampling(temperature=0, max_new_tokens=60))
    assert written == tokens[0, len(PROMPT) :].tolist()
    assert len(set(written)) > 5, "a text of one token would prove little"


def test_beyond_the_context_the_last_three_quarters_are_read_anew() -> None:
    model = tiny()
    written = tokens_of(model, PROMPT, Sampling(temperature=0, max_new_tokens=60))
    assert len(written) == 60
    tokens, start = list(PROMPT), 0
    for _ in range(60):
        if len(tokens) - start > 16:
            start = len(tokens) - 12
        tokens += without_cache(model, tokens[start:], 1)
    assert written == tokens[len(PROMPT) :]


@pytest.mark.parametrize("context", [1, 2, 3, 16])
def test_a_prompt_as_long_as_the_context_can_be_gone_on_with(context: int) -> None:
    model = tiny(context_length=context)
    prompt = list(range(context))
    assert len(tokens_of(model, prompt, Sampling(max_new_tokens=3 * context))) == 3 * context


def test_a_step_tells_what_the_model_thought() -> None:
    model = tiny()
    sampling = Sampling(temperature=0.7, top_k=4, max_new_tokens=8)
    tokens = list(PROMPT)
    for step in stream(model, PROMPT, sampling, alternatives=3):
        with torch.no_grad():
            logits = model(torch.tensor([tokens]))[0, -1]
        own = logits.softmax(-1)
        best = own.topk(3)
        assert step.probability == pytest.approx(float(own[step.token]), rel=1e-4)
        assert [a.token for a in step.alternatives] == best.indices.tolist()
        assert [a.probability for a in step.alternatives] == pytest.approx(best.values.tolist(), rel=1e-4)
        drawn_from = distribution(logits, sampling)
        assert step.chance == pytest.approx(float(drawn_from.probabilities[step.token]), rel=1e-4)
        assert step.removed == 61
        tokens.append(step.token)


def test_the_seed_decides_and_nothing_else_random_is_touched() -> None:
    model = tiny()
    sampling = Sampling(temperature=1.5, max_new_tokens=20, seed=7)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = tokens_of(model, PROMPT, sampling)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert tokens_of(model, PROMPT, sampling) == first
    assert tokens_of(model, PROMPT, Sampling(temperature=1.5, max_new_tokens=20, seed=8)) != first


def test_tokens_come_as_often_as_the_model_says() -> None:
    model = tiny(vocab_size=65)
    with torch.no_grad():
        own = model(torch.tensor([PROMPT]))[0, -1].softmax(-1)
    one = [tokens_of(model, PROMPT, Sampling(temperature=1, max_new_tokens=1, seed=s))[0] for s in range(600)]
    best = int(own.argmax())
    share, expected = one.count(best) / len(one), float(own[best])
    assert abs(share - expected) < 4 * (expected * (1 - expected) / len(one)) ** 0.5


def test_a_model_in_training_writes_without_dropout_and_trains_on() -> None:
    model = tiny(dropout=0.5)
    expected = tokens_of(model, PROMPT, GREEDY)
    model.train()
    steps = stream(model, PROMPT, GREEDY)
    written = [next(steps).token]
    assert model.training
    assert all(block.training for block in model.blocks)
    assert torch.is_grad_enabled()
    assert [*written, *(step.token for step in steps)] == expected
    model.loss(torch.tensor([PROMPT]), torch.tensor([PROMPT])).backward()


def test_a_stop_token_is_the_last_step() -> None:
    model = tiny()
    written = tokens_of(model, PROMPT, GREEDY)
    stop = written[4]
    assert tokens_of(model, PROMPT, GREEDY, stop={stop}) == written[: written.index(stop) + 1]


def test_what_cannot_be_gone_on_with_is_refused_before_the_first_step() -> None:
    model = tiny()
    for tokens, reason in (
        ([], "no tokens"),
        ([65], "not in the model's"),
        (list(range(17)), "context_length"),
    ):
        with pytest.raises(ValueError, match=reason):
            stream(model, tokens)
    with pytest.raises(ValueError, match="alternatives"):
        stream(model, PROMPT, alternatives=66)


def test_a_damaged_model_is_said_to_be_one() -> None:
    model = tiny()
    with torch.no_grad():
        model.token_embedding.weight[3, 0] = torch.nan
    with pytest.raises(ValueError, match="NaN"):
        next(iter(stream(model, PROMPT)))


def test_text_comes_in_whole_characters() -> None:
    model = tiny(vocab_size=257, context_length=32)
    settings = {"temperature": 1.0, "max_new_tokens": 200}
    pieces = list(stream_text(model, ByteTokenizer(), "né→", **settings))
    written = tokens_of(model, list("né→".encode()), Sampling(**settings), stop={256})  # type: ignore[arg-type]
    whole = bytes(t for t in written if t < 256).decode("utf-8", errors="replace")
    assert "".join(pieces) == whole
    assert all(pieces)


def test_a_prompt_that_loses_its_beginning_says_so() -> None:
    model = tiny(vocab_size=3)
    with pytest.warns(UserWarning, match="the first 84 are dropped"):
        list(stream_text(model, CharTokenizer("abc"), "abcab" * 20, max_new_tokens=1))


def test_the_same_luck_gives_the_same_token_where_models_agree() -> None:
    logits = torch.randn(50)
    nearly = logits + 1e-6
    for luck in torch.rand(50).tolist():
        sampling = Sampling(temperature=1)
        assert draw(distribution(logits, sampling).probabilities, luck) == draw(
            distribution(nearly, sampling).probabilities, luck
        )
