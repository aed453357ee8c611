"""The mean loss over windows and its standard error, against what they are by definition."""

from __future__ import annotations

import math

import pytest
import torch

from lab.model import GPT, GPTConfig
from lab.training.validating import WindowSums, strided, window_losses

CPU = torch.device("cpu")


def sums(nats: torch.Tensor, counted: torch.Tensor) -> WindowSums:
    found = WindowSums(CPU)
    for start in range(0, len(nats), 7):  # in parts, as a validation reads them
        found.add(nats[start : start + 7], counted[start : start + 7])
    return found


def test_of_windows_of_equal_length_it_is_the_standard_error_of_a_mean() -> None:
    nats = torch.rand(50, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = sums(16 * nats, torch.full((50,), 16))
    assert found.loss() == pytest.approx(float(nats.mean()))
    assert found.error() == pytest.approx(float(nats.std() / math.sqrt(50)))
    assert found.error(of=200) == pytest.approx(float(nats.std() / math.sqrt(50)) * math.sqrt(0.75))
    assert found.error(of=50) == 0.0


def test_two_standard_errors_hold_the_whole_19_times_in_20() -> None:
    """Windows of very different losses, one shorter than the rest, drawn again and again."""
    random = torch.Generator().manual_seed(1)
    counted = torch.full((600,), 32.0)
    counted[-1] = 5.0
    nats = counted * torch.rand(600, generator=random, dtype=torch.float64).exp()
    whole = sums(nats, counted).loss()
    inside = 0
    for _ in range(400):
        rows = torch.randperm(600, generator=random)[:100]
        drawn = sums(nats[rows], counted[rows])
        inside += abs(drawn.loss() - whole) < 2 * drawn.error(of=600)
    assert 0.92 < inside / 400 < 0.98


def test_windows_without_targets_count_for_nothing_and_one_alone_has_no_error() -> None:
    nats, counted = torch.tensor([8.0, 0.0, 4.0]), torch.tensor([4, 0, 4])
    assert sums(nats, counted).error() == pytest.approx(sums(nats[[0, 2]], counted[[0, 2]]).error())
    assert sums(nats, counted).loss() == 1.5
    assert math.isnan(sums(nats[:1], counted[:1]).error())


def test_windows_add_up_to_the_models_own_loss() -> None:
    torch.manual_seed(0)
    config = GPTConfig(n_layers=1, n_heads=2, d_model=16, context_length=8, vocab_size=11)
    model = GPT(config).eval()
    tokens = torch.randint(0, 11, (5, 8))
    targets = torch.randint(0, 11, (5, 8))
    targets[0, 3:] = -1
    with torch.no_grad():
        found = WindowSums(CPU)
        found.add(*window_losses(model, tokens, targets))
        assert found.loss() == pytest.approx(float(model.loss(tokens, targets)), rel=1e-5)


def test_strided_windows_give_each_target_its_context() -> None:
    """Against a forward pass for each target alone."""
    torch.manual_seed(0)
    model = GPT(GPTConfig(n_layers=1, n_heads=2, d_model=16, context_length=8, vocab_size=11))
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.3 * torch.randn_like(weight))
    stream = torch.randint(11, (8 * 5 + 4,))
    for stride in (1, 3, 8):
        ends = [*range(8, 40, stride), 40]
        alone, done = [], 0
        for end in ends:
            for target in range(done + 1, end + 1):
                seen = stream[end - 8 : target]
                with torch.no_grad():
                    alone.append(-model(seen[None])[0, -1].log_softmax(-1)[stream[target]])
            done = end
        found = strided(model, stream, 8, stride, batch_size=3)
        assert (found.tokens, len(alone)) == (40, 40)
        assert found.loss == pytest.approx(float(torch.stack(alone).mean()), abs=1e-5)
    assert (found.loss, found.error) == (found.disjoint, 0.0)


@pytest.mark.parametrize(("stride", "said"), [(0, "from 1 to the context, 8"), (9, "from 1 to the context, 8")])
def test_a_stride_beyond_the_context_is_refused(stride: int, said: str) -> None:
    model = GPT(GPTConfig(n_layers=1, n_heads=2, d_model=16, context_length=8, vocab_size=11))
    with pytest.raises(ValueError, match=said):
        strided(model, torch.zeros(50, dtype=torch.int64), 8, stride, batch_size=3)
    with pytest.raises(ValueError, match="less than a window"):
        strided(model, torch.zeros(8, dtype=torch.int64), 8, 2, batch_size=3)
