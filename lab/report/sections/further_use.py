"""What this run can be used for next: fine-tuning, looking at its heads, linear probes, pruning."""

from __future__ import annotations

from lab.report.document import Section, bullets
from lab.report.formatting import listed, loss, percent, quoted
from lab.report.markup import code
from lab.report.run_record import RunRecord
from lab.report.sections.attention import strongest
from lab.runs import metrics
from lab.runs.next_commands import fork
from lab.runs.validation import on_whole_or_subset

UNUSED = 0.1  # share of dead units from which on pruning is proposed
SETTLED = 0.6  # share of positions at which a depth must agree with the final guess


def further_use(record: RunRecord) -> Section:
    """A sentence each, as far as this run's numbers say something."""
    told = [_fine_tuning(record), _attention(record), _probing(record), _pruning(record)]
    return Section("Further use", bullets(told))


def _fine_tuning(record: RunRecord) -> str:
    if not record.checkpoints:
        return ""
    best = next((info for info in record.checkpoints if "best" in info.aliases), record.checkpoints[-1])
    value = on_whole_or_subset(best.losses)
    known = f" (validation {loss(value)})" if isinstance(value, float) else ""
    text = f"--data.corpus text --data.path YOUR.txt --data.tokenizer {quoted(record.run.tokenizer_path)}"
    command = fork(record.run, best.step, text, f"--horizon.steps {best.step + max(1, best.step // 2)}")
    return (
        f"**Fine-tuning.** Start from step {best.step:,}{known}: {code(command, 500)} continues with your text in this"
        " vocabulary. Measure the loss on both texts before and after: what it gains on yours it may lose on the old."
    )


def _attention(record: RunRecord) -> str:
    named = list(dict.fromkeys(head.name for head in strongest(record) if head.formed))
    if not named:
        return ""
    them = "it" if len(named) == 1 else "each of them"
    return (
        f"**Attention.** Open {listed(named)} on the page and ablate {them}: without a head that matters the loss rises"
        " at the tokens where its pattern shows that it attends to something."
    )


def _probing(record: RunRecord) -> str:
    depths = agreement_by_depth(record)[:-1]
    if not depths:
        return ""
    course = ", ".join(f"{percent(share)} of the positions {label}" for label, share in depths)
    told = f"**Linear probes.** Read off the residual stream, the first guess agrees with the final one in {course}"
    settled = next((label for label, share in depths if share >= SETTLED), None)
    if settled is None:
        return f"{told}: the last layer decides most of it."
    return f"{told}: {settled} a linear probe can find most of what the model will predict."


def _pruning(record: RunRecord) -> str:
    dead = {layer: share for layer, share in record.last_of_layers(metrics.STATS_DEAD_SHARE).items() if share >= UNUSED}
    if not dead:
        return ""
    layer = max(dead, key=lambda i: dead[i])
    return (
        f"**Pruning.** {percent(dead[layer])} of the MLP units in layer {layer} were never active on the reference"
        " texts: set them to 0 and measure by how much the loss rises."
    )


def agreement_by_depth(record: RunRecord) -> list[tuple[str, float]]:
    """How often the first guess read off the stream at each depth is already the model's own (the logit lens)."""
    bundle = record.bundle
    if not {"lens_tokens", "lens_labels"} <= bundle.keys() or bundle["lens_tokens"].ndim != 3:
        return []
    tokens = bundle["lens_tokens"]
    agree = (tokens == tokens[-1:]).mean(axis=(1, 2))
    names = bundle["lens_labels"].tolist()
    return [(_depth(str(name)), float(share)) for name, share in zip(names, agree, strict=False)]


def _depth(label: str) -> str:
    """`2_pre` in words."""
    layer, _, place = label.partition("_")
    return f"before layer {layer}" if place == "pre" and layer.isdigit() else f"at {label}"
