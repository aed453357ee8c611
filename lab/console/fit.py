"""What a terminal shows of a fit: a few lines before its first step, a summary after its last."""

from __future__ import annotations

import math
import os
import re
import shlex
import shutil
import sys
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from lab.console.format import named_lines
from lab.console.predictions import interview, print_verdicts
from lab.data.folders import left_out_line
from lab.fitting.lifecycle import Fit
from lab.fitting.listener import Listener
from lab.generation import stream_text
from lab.model import GPTConfig, count_parameters, flops_per_token
from lab.runs import Run, metrics
from lab.runs.facts import BASELINES, NO_RIVALS, as_number, dig, label_of, with_missing
from lab.runs.next_commands import on_run, resume
from lab.runs.validation import on_whole_or_subset
from lab.settings.groups import PredictConfig
from lab.units import byte_count

SAMPLE_TOKENS = 160


class TerminalListener(Listener):
    """Prints a fit, asks its questions, draws its progress bar."""

    progress_bar = True

    def __init__(self, console: Console) -> None:
        self.console = console

    def ask(self, predict: PredictConfig, *, first: bool) -> None:
        """In the terminal."""
        interview(predict, first=first)

    def begins(self, fit: Fit) -> None:
        """Model, data, length, levers; where it comes from and what changed."""
        self.console.print(introduction(fit))

    def note(self, text: str) -> None:
        """In yellow."""
        self.console.print(text, style="yellow")

    def ended(self, fit: Fit) -> None:
        """Why it stopped and how to go on, or the summary of a run that reached its end."""
        status = fit.run.status()
        if fit.error is not None:
            self.console.print(Text(str(fit.error), style="red"))
            if fit.run.checkpoints():
                self.console.print(Text(f"Go on: {resume(fit.run)} --model.optimizer.lr …"), soft_wrap=True)
        elif status.state == "stopped":
            self.console.print(Text(f"{status.message}. Go on: {resume(fit.run)}"), soft_wrap=True)
        else:
            print_summary(self.console, fit.settings.module, fit.settings.data, fit.run)


# ---------------------------------------------------------------- before


def introduction(fit: Fit) -> Table:
    """What is about to be trained: named lines, the run's folder first."""
    origin, decisions, module = fit.origin, fit.decisions, fit.settings.module
    epochs = fit.settings.data.epochs_seen(decisions.steps)
    rows = {
        "run": str(fit.run.path),
        "model": model_line(module.config, fit.settings.data.context_length),
        "data": data_line(fit.facts),
        # many passes over a small text are how a model learns it by heart
        "horizon": decisions.horizon + ("" if epochs is None else f": {epochs:.2g} passes over the text"),
        "levers": "\n".join(decisions.levers.lines()),
    }
    if origin.run and origin.checkpoint:
        verb = "go on with" if origin.kind == "resume" else "start from"
        rows["origin"] = (
            f"{verb} {origin.run.name} at step {origin.step:,}: weights, optimizer state and clock restored; random"
            f" state follows from seed and step; {reading_line(fit)}"
        )
    if decisions.changed:
        rows["changed"] = "\n".join(f"{k}: {a} → {b}" for k, (a, b) in decisions.changed.items())
    if decisions.rate:
        rows["learning rate"] = decisions.rate.sentence()
    if origin.kind == "resume" and not decisions.compares:
        rows["validation"] = (
            f"what is held out is not what the run was validated on before step {origin.step:,}: measured there once"
            " more, and the best loss begins anew"
        )
    if notes := module.optimizer_config.unused() + module.schedule_config.unused():
        rows["note"] = "\n".join(notes)
    return named_lines(rows.items(), style="bold", right=True)


def reading_line(fit: Fit) -> str:
    """Where in the text a run goes on, and with how much a step."""
    seams, data = fit.decisions.seams, fit.settings.data
    before, now = seams.at(fit.origin.step - 1), seams.last
    line = f"reading goes on with sequence {data.sequence_at(fit.origin.step):,}"
    if now.text not in (None, before.text):
        line = f"another text is read, from its sequence {data.sequence_at(fit.origin.step):,} on"
    sizes = [f"{held.sequences_per_step:,} of {held.context_length:,} tokens a step" for held in (before, now)]
    return line + ("" if sizes[0] == sizes[1] else f": {sizes[1]}, before {sizes[0]}")


def model_line(config: GPTConfig, context: int | None = None) -> str:
    """The model in one line: shape, size, cost of a token in sequences of `context` tokens (None: the model's)."""
    shape = f"{config.n_layers} layers, {config.n_heads} heads, {config.d_model} wide, context {config.context_length}"
    total, flops = count_parameters(config)["total"], float(flops_per_token(config, context))
    size = f"{total / 1e6:.2f}M" if total >= 1e5 else f"{total:,}"
    return f"{shape}: {size} parameters, {flops / 1e6:.2f} MFLOP a token"


def data_line(facts: dict[str, Any]) -> str:
    """The data: corpus, vocabulary, how much there is; what is held out, and how much of that validation reads; what
    of a folder is left out."""
    named = f"{facts['corpus']['name']}, {facts['tokenizer']['kind']} tokenizer of {facts['vocab_size']:,}"
    splits, validated = facts["splits"], facts["validation"]["tokens"]
    subset = facts.get("val_subset")
    on_the_way = f", while it trains on {subset['windows']:,} of the windows" if subset else ""
    if not splits:
        return f"{named}: made as it is read, without end; validated on {validated:,} tokens{on_the_way}"
    n_windows = facts["validation"].get("random_windows")
    windows = "" if n_windows is None else f"{n_windows:,} random windows, "
    held_out, n_bytes = splits["val"]["bytes"], sum(split["bytes"] for split in splits.values())
    corpus = facts["corpus"]
    published = ", as published" if corpus.get("split") == "as published" else ""
    if split := corpus.get("published_split"):
        published = f", the published {split} split"
    return (
        f"{named}: {splits['train']['tokens']:,} tokens to learn from\n"
        f"held out: {held_out / n_bytes:.1%} of the text ({byte_count(held_out)} of {byte_count(n_bytes)}){published},"
        f" validated on {windows}{validated:,} tokens of it{on_the_way}"
        + (f"\n{n:,} lines of <|endoftext|> separate its documents" if (n := corpus.get("separators")) else "")
        + (f"\nleft out: {left_out_line(left_out)}" if (left_out := corpus.get("left_out")) else "")
    )


# ---------------------------------------------------------------- after


def print_summary(console: Console, module: Any, data: Any, run: Run) -> None:
    """The end of a completed run: losses beside the baselines, predictions scored, a sample, what to try next."""
    losses = module.validated
    console.print()
    if on_whole_or_subset(losses) is not None:
        console.print(scoreboard(losses, data.baselines))
    print_verdicts(console, run, data)
    opening = opening_of(data)
    console.print(sample_panel(module.model, data.tokenizer, opening))
    console.print(Text(str(run.path), style="bold"))
    for command, why in next_commands(run, opening):
        console.print(Text.assemble((f"  {command}", "cyan"), (f"   # {why}", "dim")), soft_wrap=True)


def scoreboard(losses: dict[str, float], baselines: dict[str, Any]) -> Table:
    """Validation loss beside what simpler predictors reach on the same text, worst first."""
    nats, bits = baselines.get("nats_per_token", {}), baselines.get("bits_per_byte", {})
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("")
    for name in ("nats/token", "perplexity", "bits/byte"):
        table.add_column(name, justify="right")
    table.add_column("")
    nats, bits = with_missing(nats), with_missing(bits)
    seen = as_number(dig(baselines, "method", "xz_seen_bytes"))
    told = {name: what for name, (_, what) in BASELINES.items()}
    if seen is not None:
        told["xz_trained"] = f"xz -9 behind {byte_count(seen)} of training text"
    rows = [(name, nats.get(name), bits.get(name)) for name in BASELINES if name in nats or name in bits]
    own_bits = on_whole_or_subset(losses, metrics.VAL_BITS_PER_BYTE)
    own = ("this model", on_whole_or_subset(losses), own_bits)
    everyone = sorted([*rows, own], key=lambda r: -(r[2] if r[2] is not None else float("inf")))
    for name, loss, bpb in everyone:
        is_own = name == own[0]
        beaten = "" if is_own or name in NO_RIVALS else verdict(own_bits, bpb)
        table.add_row(
            Text(label_of(name), style="bold green" if is_own else ""),
            number(loss, 3),
            number(math.exp(loss) if loss is not None else None, 1),
            number(bpb, 3),
            Text(measured_on(losses) if is_own else f"{beaten}{told[name]}", style="" if is_own else "dim"),
        )
    return table


def measured_on(losses: dict[str, float]) -> str:
    """What a validation loss is of, and how sure it is as that."""
    if metrics.VAL_LOSS in losses:
        return "validation split"
    error = losses.get(metrics.VAL_SUBSET_LOSS_ERROR)
    return "random windows of the validation split" + ("" if error is None else f", ± {error:.3f} nats")


def verdict(own: float | None, other: float | None) -> str:
    """A mark in front of a baseline: beaten or not."""
    if own is None or other is None or own == other:
        return ""
    return "✓ " if own < other else "✗ "


def number(value: float | None, digits: int) -> str:
    """A number, or n/a where there is none."""
    return "n/a" if value is None else f"{value:,.{digits}f}"


def sample_panel(model: Any, tokenizer: Any, opening: str) -> Panel:
    """What the model writes after `opening`, seed fixed."""
    settings = {"max_new_tokens": SAMPLE_TOKENS, "temperature": 0.8, "top_k": 50, "seed": 1}
    text = "".join(stream_text(model, tokenizer, prompt=opening, stop_at_end=False, **settings))
    return Panel(
        Text.assemble((opening, "dim"), text.strip("\n")), title="a sample", title_align="left", border_style="dim"
    )


def opening_of(data: Any) -> str:
    """The first words of the validation text (of a made corpus, its first symbols): something to go on from."""
    start = data.tokenizer.decode(data.sequences.val_stream(min(24, data.context_length // 2)))
    for broken in (*data.tokenizer.specials, "\ufffd"):  # typed, it would be more tokens than it was
        start = start.replace(broken, "\n")
    lines = [line for line in start.splitlines() if line.strip()] or [start]
    line = next((line for line in lines if re.search(r"\w\w", line)), lines[0])  # "?" alone is no beginning
    return line[: line.rfind(" ")] if " " in line.strip() else line


def next_commands(run: Run, opening: str) -> list[tuple[str, str]]:
    """Three things to try with a finished run."""
    lab = f"{python()} -m lab"
    return [
        (on_run("generate", run, "--prompt", shlex.quote(opening), lab=lab), "let it continue a text of yours"),
        (on_run("runs show", run, lab=lab), "its curve and its files"),
        (
            f"{python()} -m tensorboard.main --logdir {shlex.quote(str(run.path.parent))}",
            "all curves of all runs in the browser",
        ),
    ]


def python() -> str:
    """The command that starts this Python: `python` where the shell finds the same one, else its path."""
    found = shutil.which("python")
    if (
        found
        and os.path.realpath(found) == os.path.realpath(sys.executable)
        and os.path.dirname(found) == os.path.dirname(sys.executable)
    ):
        return "python"
    return shlex.quote(os.path.relpath(sys.executable))
