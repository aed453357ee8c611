"""Text that the model wrote, and how much of it was copied."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lab.report.run_record import RunRecord
from lab.report.sections.samples import samples
from tests.report.runs import text_in, with_metrics


def sample(step: int, prompt: str = "", copied: int = 0) -> dict[str, Any]:
    return {"step": step, "prompt": prompt, "text": f"text of {step}", "longest_copy": {"tokens": copied}}


def test_samples_by_prompt_and_step(record: RunRecord) -> None:
    text = text_in(samples(record))
    assert "After `Once | upon`, at temperature 0.8, with the same random seed every time:" in text
    assert all(f"step {step}" in text for step in (0, 200, 400))


def test_few_of_many_are_shown_and_later_ones_count(record: RunRecord) -> None:
    written = [sample(step) for step in range(100)] + [sample(99, copied=12) | {"text": "again"}]
    written += [sample(0, prompt) for prompt in ("a", "b", "c")]
    text = text_in(samples(replace(record, samples=written)))
    assert text.count("text of ") == 5 + 1, "6 of the first prompt, the last of them written again, and 1 of the second"
    assert "step 99; 12 tokens in a row are in the training text" in text
    assert "again" in text
    assert "2 more prompts in `samples.jsonl`." in text


@pytest.mark.parametrize(("last", "verdict"), [(30, "it copies passages"), (6, "it shares words, not passages")])
def test_copies_are_judged(record: RunRecord, last: int, verdict: str) -> None:
    text = text_in(samples(with_metrics(record, stats__longest_copy=[2, last])))
    assert f"2 in the first samples, {last} of 32 in the last: {verdict}." in text


def test_no_samples_are_said_to_be_none(record: RunRecord) -> None:
    assert "No samples were written during training." in text_in(samples(replace(record, samples=[])))
