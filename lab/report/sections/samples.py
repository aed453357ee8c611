"""Text that the model wrote during training."""

from __future__ import annotations

from collections import defaultdict

from lab.report.document import Block, Paragraph, Section, Verbatim
from lab.report.formatting import plural
from lab.report.markup import code
from lab.report.run_record import RunRecord
from lab.runs import metrics
from lab.runs.facts import as_number, dig
from lab.runs.lines import Row

LONG_COPY = 8  # tokens in a row: fewer are found in any text by chance
MOST_PROMPTS, MOST_STEPS, MOST_LETTERS = 2, 6, 600


def samples(record: RunRecord) -> Section:
    """For each prompt the samples of some steps, evenly chosen, the first and the last among them."""
    by_prompt: dict[str, list[Row]] = defaultdict(list)
    for sample in record.samples:
        by_prompt[str(sample.get("prompt", ""))].append(sample)
    if not by_prompt:
        return Section("Samples over time", [Paragraph("No samples were written during training.")])
    blocks: list[Block] = []
    for prompt, written in list(by_prompt.items())[:MOST_PROMPTS]:
        # A resumed run wrote some of them again: the later ones count.
        unique = sorted({sample["step"]: sample for sample in written}.values(), key=lambda sample: sample["step"])
        temperature = as_number(unique[-1].get("temperature"))
        heat = f", at temperature {temperature:g}" if temperature is not None else ""
        told = f"After {code(prompt, 60)}" if prompt else "From the beginning of a text, without a prompt"
        blocks.append(Paragraph(f"{told}{heat}, with the same random seed every time:"))
        blocks += [Verbatim(_label(sample), str(sample["text"])[:MOST_LETTERS]) for sample in _some(unique)]
    if len(by_prompt) > MOST_PROMPTS:
        blocks.append(Paragraph(f"{plural(len(by_prompt) - MOST_PROMPTS, 'more prompt')} in `samples.jsonl`."))
    if told := _copies(record):
        blocks.append(Paragraph(told))
    return Section("Samples over time", blocks)


def _label(sample: Row) -> str:
    copied = dig(sample, "longest_copy", "tokens")
    if not isinstance(copied, int) or copied < LONG_COPY:
        return f"step {sample['step']:,}"
    return f"step {sample['step']:,}; {plural(copied, 'token')} in a row are in the training text"


def _some(samples: list[Row]) -> list[Row]:
    n = len(samples)
    return samples if n <= MOST_STEPS else [samples[round(i * (n - 1) / (MOST_STEPS - 1))] for i in range(MOST_STEPS)]


def _copies(record: RunRecord) -> str:
    series, written = record.of(metrics.STATS_LONGEST_COPY), record.settings.get("samples.tokens")
    if series.last is None:
        return ""
    told = "The longest run of tokens that a sample shares with the training text:"
    told += f" {series.first:.0f} in the first samples, {series.last:.0f}"
    if not isinstance(written, int) or not written:
        return f"{told} in the last."
    verdict = "it copies passages" if series.last > 0.5 * written else "it shares words, not passages"
    return f"{told} of {written} in the last: {verdict}."
