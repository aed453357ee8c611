from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from lab.model import GPT, GPTConfig, cross_entropy, loss
from lab.model.loss import Reduction, head_logits, head_loss
from tests.variants import TINY, all_pairs_configs

LOGITS = torch.randn(2, 3, 7, generator=torch.Generator().manual_seed(0))
TARGETS = torch.tensor([[3, -1, 0], [6, 6, -1]])


def by_hand() -> torch.Tensor:
    """-ln p of each target, written out in double precision; 0 where there is none."""
    p = LOGITS.double().exp() / LOGITS.double().exp().sum(-1, keepdim=True)
    nats = [
        [-math.log(p[b, i, t]) if t >= 0 else 0.0 for i, t in enumerate(row)] for b, row in enumerate(TARGETS.tolist())
    ]
    return torch.tensor(nats, dtype=torch.float64)


def test_it_is_minus_the_log_probability_of_the_targets_that_count() -> None:
    each = cross_entropy(LOGITS, TARGETS, "none")
    torch.testing.assert_close(each.double(), by_hand(), atol=1e-6, rtol=0)
    assert each.shape == TARGETS.shape
    assert cross_entropy(LOGITS, TARGETS, "sum").item() == pytest.approx(by_hand().sum().item(), abs=1e-5)
    assert cross_entropy(LOGITS, TARGETS).item() == pytest.approx(by_hand().sum().item() / 4, abs=1e-6)


def test_nothing_to_predict_is_no_number() -> None:
    assert cross_entropy(LOGITS, torch.full_like(TARGETS, -1)).isnan()
    assert cross_entropy(LOGITS, torch.full_like(TARGETS, -1), "sum") == 0


def test_it_is_computed_in_fp32_and_survives_huge_logits() -> None:
    low = LOGITS.bfloat16()
    assert cross_entropy(low, TARGETS).dtype == torch.float32
    torch.testing.assert_close(cross_entropy(low, TARGETS), cross_entropy(low.float(), TARGETS))
    assert cross_entropy(LOGITS * 1e4, TARGETS).isfinite()


def test_the_models_loss_is_that_of_its_logits() -> None:
    for config in all_pairs_configs(dropout=0.0):
        model = GPT(config)
        tokens = torch.randint(0, config.vocab_size, (2, 8))
        targets = tokens.roll(-1, 1)
        targets[:, -1] = -1
        for reduction in ("mean", "sum", "none"):
            expected = cross_entropy(model(tokens), targets, reduction)
            torch.testing.assert_close(model.loss(tokens, targets, reduction), expected)


def head_case(softcap: float | None, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """A stream, a head with 7 rows too many, and targets of which some don't count."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(4, 10, 16, generator=generator).to(dtype).requires_grad_()
    weight = torch.randn(57, 16, generator=generator).requires_grad_()
    targets = torch.randint(-1, 50, (4, 10), generator=generator)
    targets[1] = -1
    return x, weight, targets


@pytest.fixture
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(loss.CHUNK_LOGITS, "cpu", 57 * 3)  # three positions at once, the last chunk shorter


@pytest.mark.usefixtures("_small_chunks")
@pytest.mark.parametrize("softcap", [None, 5.0])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_chunks_give_the_values_and_gradients_of_all_logits_at_once(
    reduction: Reduction, softcap: float | None
) -> None:
    results = []
    for chunked in (False, True):
        x, weight, targets = head_case(softcap, torch.float32)
        if chunked:
            value = head_loss(x, weight, targets, 50, softcap, reduction)
        else:
            value = cross_entropy(head_logits(x, weight, 50, softcap), targets, reduction)
        (value * torch.linspace(0.5, 2, value.numel()).view(value.shape)).sum().backward()
        results.append((value.detach(), x.grad, weight.grad))
    for plain, chunked_result in zip(*results, strict=True):
        assert plain is not None
        torch.testing.assert_close(chunked_result, plain, atol=1e-5, rtol=1e-5)
    assert results[1][2] is not None
    assert (results[1][2][50:] == 0).all()


@pytest.mark.usefixtures("_small_chunks")
@pytest.mark.parametrize("softcap", [None, 5.0])
def test_chunks_under_autocast_are_as_near_to_fp32_as_all_logits_at_once(softcap: float | None) -> None:
    def error(autocast: bool, chunked: bool) -> list[Tensor]:
        x, weight, targets = head_case(softcap, torch.float32)
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            if chunked:
                value = head_loss(x, weight, targets, 50, softcap)
            else:
                value = cross_entropy(head_logits(x, weight, 50, softcap), targets)
        value.backward()
        assert value.dtype == torch.float32
        assert x.grad is not None
        assert weight.grad is not None
        return [value.detach(), x.grad, weight.grad]

    exact, plain, chunked = error(False, False), error(True, False), error(True, True)
    for e, p, c in zip(exact, plain, chunked, strict=True):
        assert (c - e).norm() <= 1.5 * (p - e).norm() + 1e-5
        torch.testing.assert_close(c, p, atol=2e-2, rtol=2e-2)


@pytest.mark.usefixtures("_small_chunks")
def test_chunks_of_nothing_to_predict_and_of_huge_logits() -> None:
    x, weight, targets = head_case(None, torch.float32)
    nothing = torch.full_like(targets, -1)
    assert head_loss(x, weight, nothing, 50).isnan()
    assert head_loss(x, weight, nothing, 50, reduction="sum") == 0
    huge = head_loss(x * 1e4, weight, targets, 50)
    assert huge.isfinite()
    torch.testing.assert_close(huge, cross_entropy(head_logits(x * 1e4, weight, 50, None), targets))


@pytest.mark.usefixtures("_small_chunks")
def test_a_second_backward_pass_is_refused_and_not_wrong() -> None:
    x, weight, targets = head_case(None, torch.float32)
    value = head_loss(x, weight, targets, 50, reduction="sum") / 2
    value.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        value.backward()


@pytest.mark.usefixtures("_small_chunks")
def test_a_model_trains_the_same_with_chunks() -> None:
    for config in all_pairs_configs(dropout=0.0)[:6]:
        curves = []
        for kernel in ("whole", "chunked"):
            torch.manual_seed(0)
            model = GPT(config)
            model.set_loss_kernel(kernel)
            assert model.loss_kernel == kernel
            optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
            curve = []
            for _ in range(5):
                tokens = torch.randint(0, config.vocab_size, (2, 9))
                value = model.loss(tokens[:, :-1], tokens[:, 1:])
                value.backward()
                optimizer.step()
                optimizer.zero_grad()
                curve.append(value.item())
            curves.append(curve)
        assert curves[1] == pytest.approx(curves[0], abs=1e-5)


def test_auto_takes_chunks_for_large_vocabularies_only(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    forward = nn.functional.linear

    def spy(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        made.append(weight.shape[0])
        return forward(x, weight, bias)

    monkeypatch.setattr("lab.model.loss.F.linear", spy)
    for vocabulary, whole in ((65, True), (20_000, False)):
        made.clear()
        model = GPT(GPTConfig(**{**TINY, "vocab_size": vocabulary}))
        tokens = torch.randint(0, vocabulary, (1, 8))
        with torch.no_grad():
            model.loss(tokens, tokens)
        assert (vocabulary in made) is whole


def test_an_unknown_loss_kernel_is_refused() -> None:
    with pytest.raises(ValueError, match="'fast': choose one of auto, whole, chunked"):
        GPT(GPTConfig(**TINY)).set_loss_kernel("fast")  # type: ignore[arg-type]


@pytest.mark.slow
def test_the_compiled_model_gives_the_same_loss_by_chunks() -> None:
    model = GPT(GPTConfig(**TINY))
    model.set_loss_kernel("chunked")
    tokens = torch.randint(0, 65, (2, 8))
    expected = model.loss(tokens, tokens)
    model.compile(backend="aot_eager")
    torch.testing.assert_close(model.loss(tokens, tokens), expected)
