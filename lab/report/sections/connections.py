"""Where this run leads: fine-tuning it, reading its attention, probing what it knows."""

from __future__ import annotations

from lab.report.document import Points, Section
from lab.report.markup import code
from lab.report.record import Record
from lab.report.sections.attention import strongest
from lab.report.words import listed, loss, percent, quoted
from lab.runs.next_commands import fork

UNUSED = 0.1
"""The share of dead units from which on they are worth a thought."""
SETTLED = 0.6
"""The share of positions at which a depth must agree with the final guess to be called settled."""


def connections(record: Record) -> Section:
    """A sentence each, as far as there is something of this run to say."""
    told = [_fine_tuning(record), _attention(record), _probing(record), _unused(record)]
    points = [sentence for sentence in told if sentence]
    return Section("Connections", [Points(points)] if points else [])


def _fine_tuning(record: Record) -> str:
    if not record.checkpoints:
        return ""
    best = next((info for info in record.checkpoints if "best" in info.aliases), record.checkpoints[-1])
    value = best.losses.get("val/loss")
    known = f" (validation {loss(value)})" if isinstance(value, float) else ""
    text = f"--data.corpus text --data.path YOUR.txt --data.tokenizer {quoted(record.run.tokenizer_path)}"
    command = fork(record.run, best.step, text, f"--horizon.steps {best.step + max(1, best.step // 2)}")
    return (
        f"**Fine-tuning.** Step {best.step:,} is where to start from{known}: {code(command, 500)} goes on with your"
        " text in this vocabulary. Measure the loss on both texts before and after: what it gains on yours it may lose"
        " on the old."
    )


def _attention(record: Record) -> str:
    named = list(dict.fromkeys(head.name for head in strongest(record) if head.formed))
    if not named:
        return ""
    them = "it" if len(named) == 1 else "each of them"
    return (
        f"**Attention.** Open {listed(named)} on the page and ablate {them}: a head that matters costs loss where its"
        " pattern says that it reads something, and little elsewhere."
    )


def _probing(record: Record) -> str:
    depths = guesses_by_depth(record)
    if len(depths) < 2:
        return ""
    settled = next((label for label, share in depths[:-1] if share >= SETTLED), None)
    course = ", ".join(f"{percent(share)} {label}" for label, share in depths[:-1])
    told = f"**Probing.** Read off the stream, the first guess is already the final one at {course}"
    if settled is None:
        return f"{told}: the last layer decides most of it."
    return f"{told}: {settled} most of what the model will say can be found by a linear probe."


def _unused(record: Record) -> str:
    dead = {layer: s.last for layer, s in record.layers("stats/dead_share").items() if s.last and s.last >= UNUSED}
    if not dead:
        return ""
    layer = max(dead, key=lambda i: dead[i] or 0.0)
    return (
        f"**Pruning.** {percent(dead[layer])} of the MLP units in layer {layer} never fired on the probe texts: zero"
        " them and measure what is lost."
    )


def guesses_by_depth(record: Record) -> list[tuple[str, float]]:
    """How often the first guess read off the stream at each depth is already the model's own (the logit lens)."""
    bundle = record.bundle()
    if bundle is None or not {"lens_tokens", "lens_labels"} <= bundle.keys() or bundle["lens_tokens"].ndim != 3:
        return []
    tokens = bundle["lens_tokens"]
    agree = (tokens == tokens[-1:]).mean(axis=(1, 2))
    names = bundle["lens_labels"].tolist()
    return [(_depth(str(name)), float(share)) for name, share in zip(names, agree, strict=False)]


def _depth(label: str) -> str:
    """`2_pre` in words."""
    layer, _, place = label.partition("_")
    return f"before layer {layer}" if place == "pre" and layer.isdigit() else f"at {label}"
