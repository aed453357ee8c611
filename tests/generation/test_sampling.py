"""Sampling against `transformers`' own logits processors, and against what the settings promise."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from transformers import LogitsProcessorList, TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from lab.generation import Sampling, distribution, draw
from lab.generation.sampling import below_top_k, outside_top_p, own_probabilities, with_temperature

# Of the few values in between, ties happen; none differ by rounding alone.
logit_lists = st.lists(st.integers(-500, 500) | st.integers(-3, 3), min_size=1, max_size=40).map(
    lambda tenths: [n / 10 for n in tenths]
)
temperatures = st.floats(0.05, 20)
ks = st.none() | st.integers(1, 50)
ps = st.none() | st.floats(0.01, 1.0)


def theirs(logits: Tensor, sampling: Sampling) -> Tensor:
    """What `transformers` draws from with the same settings."""
    chain = LogitsProcessorList([TemperatureLogitsWarper(sampling.temperature)])
    if sampling.top_k is not None:
        chain.append(TopKLogitsWarper(sampling.top_k))
    if sampling.top_p is not None:
        chain.append(TopPLogitsWarper(sampling.top_p))
    return chain(torch.zeros(1, 1, dtype=torch.long), logits.double()[None])[0].softmax(-1)


@given(st.integers(0, 10**6), st.floats(0.3, 3), ks, st.none() | st.floats(0.05, 0.999))
def test_the_same_distribution_as_transformers(seed: int, temperature: float, k: int | None, p: float | None):
    logits = 3 * torch.randn(40, generator=torch.Generator().manual_seed(seed))
    sampling = Sampling(temperature=temperature, top_k=k, top_p=p)
    torch.testing.assert_close(distribution(logits, sampling).probabilities, theirs(logits, sampling))


@given(logit_lists, temperatures, ks, ps)
def test_a_distribution_over_what_was_not_removed(
    values: list[float], temperature: float, k: int | None, p: float | None
) -> None:
    logits = torch.tensor(values)
    found = distribution(logits, Sampling(temperature=temperature, top_k=k, top_p=p))
    removed = found.removed_by_top_k | found.removed_by_top_p
    assert not (found.removed_by_top_k & found.removed_by_top_p).any()
    assert float(found.probabilities.sum()) == pytest.approx(1)
    assert bool((found.probabilities[removed] == 0).all())
    assert found.probabilities[logits.argmax()] > 0, "the likeliest token always stays"
    kept = logits[~removed]
    if kept.numel() and removed.any():
        assert kept.min() >= logits[removed].max(), "only less likely ones go"


@given(logit_lists, st.integers(1, 50))
def test_top_k_keeps_k_tokens_and_ties(values: list[float], k: int) -> None:
    logits = torch.tensor(values)
    kept = ~below_top_k(logits, k)
    smallest = sorted(logits.tolist(), reverse=True)[:k][-1]
    assert kept.tolist() == [value >= smallest for value in logits.tolist()]
    assert kept.sum() >= min(k, len(values))


@given(logit_lists, st.floats(0.01, 0.99))
def test_top_p_keeps_the_smallest_set_that_reaches_p(values: list[float], p: float) -> None:
    logits = torch.tensor(values, dtype=torch.float64)
    probabilities = logits.softmax(-1)
    kept = probabilities[~outside_top_p(logits, p)]
    assert float(kept.sum()) >= p - 1e-9
    assert float(kept.sum() - kept.min()) < p + 1e-9, "without the least likely of them p is not reached"


def test_top_p_counts_after_temperature_and_top_k() -> None:
    logits = torch.tensor([0.5, 0.3, 0.2]).log()
    # Of all three tokens the first two make 0.8. Of the two that top-k leaves, the first alone makes 0.625.
    assert distribution(logits, Sampling(temperature=1, top_p=0.6)).probabilities.tolist() == pytest.approx(
        [0.625, 0.375, 0]
    )
    after_k = distribution(logits, Sampling(temperature=1, top_k=2, top_p=0.6))
    assert after_k.probabilities.tolist() == [1, 0, 0]
    assert after_k.removed_by_top_k.tolist() == [False, False, True]
    assert after_k.removed_by_top_p.tolist() == [False, True, False]
    cold = distribution(logits, Sampling(temperature=0.1, top_p=0.6))
    assert cold.removed_by_top_p.tolist() == [False, True, True], "cold, the first makes 0.99"


@given(logit_lists)
def test_temperature_0_is_argmax_and_removes_nothing(values: list[float]) -> None:
    logits = torch.tensor(values)
    found = distribution(logits, Sampling(temperature=0, top_k=2, top_p=0.5))
    assert found.probabilities.nonzero().flatten().tolist() == [int(logits.argmax())]
    assert not (found.removed_by_top_k | found.removed_by_top_p).any()


@pytest.mark.parametrize("temperature", [1e-320, 1e-30, 1e-3, 1e3, 1e300])
def test_extreme_temperatures_stay_numbers(temperature: float) -> None:
    logits = torch.tensor([5.0, 4.0, -3e38, 3e38])
    probabilities = distribution(logits, Sampling(temperature=temperature, top_k=3, top_p=0.99)).probabilities
    assert probabilities.isfinite().all()
    assert float(probabilities.sum()) == pytest.approx(1)


def test_leading_dimensions_are_kept_and_each_row_is_on_its_own() -> None:
    logits = torch.randn(3, 2, 20)
    sampling = Sampling(temperature=1.3, top_k=5, top_p=0.8)
    whole = distribution(logits, sampling).probabilities
    for i in range(3):
        for j in range(2):
            torch.testing.assert_close(whole[i, j], distribution(logits[i, j], sampling).probabilities)


def test_temperature_1_without_limits_is_the_models_own_distribution() -> None:
    logits = torch.randn(30)
    torch.testing.assert_close(distribution(logits, Sampling(temperature=1)).probabilities, own_probabilities(logits))
    torch.testing.assert_close(with_temperature(logits, 2), (logits.double() - logits.max().double()) / 2)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20), st.floats(0, 1, exclude_max=True))
def test_a_token_of_probability_0_is_never_drawn(weights: list[float], luck: float) -> None:
    probabilities = torch.tensor([*weights, 0.5, 0.0], dtype=torch.float64)
    probabilities /= probabilities.sum()
    assert probabilities[draw(probabilities, luck)] > 0


@pytest.mark.parametrize("luck", [0.0, 1 - 2**-53, math.nextafter(1, 0)])
def test_the_ends_of_the_pile(luck: float) -> None:
    probabilities = torch.tensor([0.0, 0.1, 0.0, 0.9, 0.0])
    assert draw(probabilities, luck) == (1 if luck == 0 else 3)


def test_drawing_follows_the_probabilities() -> None:
    probabilities = torch.tensor([0.5, 0.25, 0.0, 0.2, 0.05])
    n = 20_000
    drawn = [draw(probabilities, (i + 0.5) / n) for i in range(n)]
    counts = torch.bincount(torch.tensor(drawn), minlength=5) / n
    torch.testing.assert_close(counts, probabilities, atol=1e-3, rtol=0)


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(ValueError, match="temperature") as error:
        Sampling(max_new_tokens=0, temperature=-1, top_k=0, top_p=1.5, seed=-1)
    lines = str(error.value).splitlines()
    assert [line.split("=")[0] for line in lines] == [
        "max_new_tokens",
        "temperature",
        "top_k",
        "top_p",
        "seed",
    ]


@pytest.mark.parametrize(
    "setting",
    [
        {"temperature": math.nan},
        {"temperature": math.inf},
        {"temperature": "hot"},
        {"top_k": 2.5},
        {"top_k": True},
        {"top_p": 0},
        {"top_p": math.nan},
        {"max_new_tokens": 1.5},
        {"seed": 2**63},
    ],
)
def test_absurd_settings_are_refused(setting: dict[str, object]) -> None:
    (name,) = setting
    with pytest.raises(ValueError, match=name):
        Sampling(**setting)  # type: ignore[arg-type]
