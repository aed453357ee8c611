"""The four ways to say how long a run is."""

from __future__ import annotations

import pytest

from lab.training.horizon import HorizonConfig, resolve_steps


@pytest.mark.parametrize(
    ("config", "steps"),
    [
        (HorizonConfig(steps=7), 7),
        (HorizonConfig(tokens=1e6), 1303),  # 1302.08 steps of 768: rounded up
        (HorizonConfig(tokens=768), 1),
        (HorizonConfig(tokens_per_parameter=20), 20_834),
        (HorizonConfig(minutes=5), 9_258),  # 300 s of 30.001 ms and 8 % for looks: rounded down
    ],
)
def test_each_unit_becomes_steps(config: HorizonConfig, steps: int) -> None:
    found, sentence = resolve_steps(config, 768, 800_000, seconds_per_step=0.030001)
    assert found == steps
    assert sentence.startswith(f"{steps:,} step")


def test_the_sentence_tells_tokens_and_reason() -> None:
    _, sentence = resolve_steps(HorizonConfig(minutes=2), 1000, 500_000, seconds_per_step=0.06)
    assert sentence == (
        "1,851 steps of 1,000 tokens: 1.85M tokens, 3.7 per parameter (an estimate: 2 minutes by the clock at 60 ms a"
        " step and about 8% for looks and checkpoints)"
    )


def test_exactly_one_unit_is_given() -> None:
    with pytest.raises(ValueError, match=r"horizon\.steps, horizon\.tokens, .*horizon\.minutes"):
        HorizonConfig()
    with pytest.raises(ValueError, match="steps=5 and minutes=1 contradict"):
        HorizonConfig(steps=5, minutes=1)


def test_all_problems_at_once() -> None:
    with pytest.raises(ValueError, match=r"steps is 0") as caught:
        HorizonConfig(steps=0, minutes=float("nan"))
    assert len(str(caught.value).splitlines()) == 3


def test_minutes_too_few_for_one_step() -> None:
    with pytest.raises(ValueError, match=r"horizon\.minutes is 0\.1, but a step takes 2\.0 minutes"):
        resolve_steps(HorizonConfig(minutes=0.1), 768, 1000, seconds_per_step=120)
    with pytest.raises(ValueError, match="was not measured"):
        resolve_steps(HorizonConfig(minutes=0.1), 768, 1000)
