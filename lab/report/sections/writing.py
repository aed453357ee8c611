"""What the model wrote while it learned."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from lab.report.document import Block, Section, Verbatim, Words
from lab.report.markup import code
from lab.report.record import Record
from lab.report.words import plural
from lab.runs.facts import dig

TELLING = 8
"""Tokens in a row: fewer are found in any text by chance."""
MOST_PROMPTS, MOST_STEPS, MOST_LETTERS = 2, 6, 600


def writing(record: Record) -> Section:
    """For each prompt the samples of some steps, evenly chosen, the first and the last among them."""
    by_prompt: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for sample in record.samples:
        by_prompt[str(sample.get("prompt", ""))].append(sample)
    if not by_prompt:
        return Section("Samples over time", [Words("The model wrote nothing while it trained.")])
    blocks: list[Block] = []
    for prompt, samples in list(by_prompt.items())[:MOST_PROMPTS]:
        # A resumed run wrote some of them again: the later ones count.
        samples = list({sample["step"]: sample for sample in samples}.values())
        samples.sort(key=lambda sample: sample["step"])
        temperature = samples[-1].get("temperature")
        heat = f" at temperature {temperature:g}" if isinstance(temperature, int | float) else ""
        told = f"After {code(prompt, 60)}" if prompt else "From the beginning of a text, without a prompt"
        blocks.append(Words(f"{told}{heat}, with the same luck every time:"))
        blocks += [Verbatim(_label(sample), str(sample["text"])[:MOST_LETTERS]) for sample in _some(samples)]
    if len(by_prompt) > MOST_PROMPTS:
        blocks.append(Words(f"{plural(len(by_prompt) - MOST_PROMPTS, 'more prompt')} in `samples.jsonl`."))
    if told := _copies(record):
        blocks.append(Words(told))
    return Section("Samples over time", blocks)


def _label(sample: dict[str, Any]) -> str:
    copied = dig(sample, "longest_copy", "tokens")
    remark = (
        f"; {plural(copied, 'token')} in a row also stand in the training text"
        if isinstance(copied, int) and copied >= TELLING
        else ""
    )
    return f"step {sample['step']:,}{remark}"


def _some(samples: list[dict[str, Any]]) -> list[dict[str, Any]]:
    n = len(samples)
    if n <= MOST_STEPS:
        return samples
    return [samples[round(i * (n - 1) / (MOST_STEPS - 1))] for i in range(MOST_STEPS)]


def _copies(record: Record) -> str:
    series = record.of("stats/longest_copy")
    if series.last is None:
        return ""
    written = record.settings.get("samples.tokens")
    of = f" of {written}" if isinstance(written, int) else ""
    share = series.last / written if isinstance(written, int) and written else 0.0
    verdict = ": it recites" if share > 0.5 else ": words, not passages" if written else ""
    return (
        f"The longest run of tokens that a sample has in common with the training text: {series.first:.0f} in the"
        f" first samples, {series.last:.0f}{of} in the last{verdict}."
    )
