"""Predictions in the terminal: the questions before a run, and how the answers fared after it."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.text import Text

from lab.data.dataset import LabData
from lab.forecasting.predictions import score_predictions
from lab.runs import Run
from lab.runs.predictions import BY, QUANTITIES, SCORED, Predictions
from lab.settings.groups import PredictConfig


def interview(asked: PredictConfig, *, first: bool, ask: Callable[[str], str] | None = None) -> None:
    """Ask in the terminal for what was not given; an empty answer skips. Raises `ValueError` without a terminal."""
    if ask is None:
        if not sys.stdin.isatty():
            raise ValueError(
                "predict.ask: there is no terminal to ask in; give predictions as --predict.final_loss 1.9"
            )
        ask = input
        print("Your predictions: a number, or two bounds that will hold the truth in 8 of 10 cases. Enter: skip.")
    for name, question in ((quantity.setting, quantity.question) for quantity in QUANTITIES.values()):
        while question and getattr(asked, name) is None and (answer := ask(f"  {question}: ").strip()):
            try:
                setattr(asked, name, answer_of(name, answer))
                asked.__post_init__()
            except ValueError as error:
                setattr(asked, name, None)
                print(f"  {error}")
    if first and asked.mental_model is None:
        asked.mental_model = (
            ask("  in your words: how does such a model come to predict the next token?\n  ").strip() or None
        )


def answer_of(name: str, answer: str) -> Any:
    """`1.9` or `1.8 2.0` or `1.8-2.0`; y or n. Raises `ValueError` for anything else."""
    if name == "overfit":
        if answer[0].lower() not in "yn":
            raise ValueError("y or n")
        return answer[0].lower() == "y"
    numbers = [float(n) for n in re.findall(r"\d+(?:[.,]\d+)?", answer.replace(",", "."))]
    if len(numbers) not in (1, 2):
        raise ValueError("a number, or two: 1.9, or 1.8 2.0")
    return numbers if len(numbers) == 2 else numbers[0]


def verdict_lines(found: Predictions) -> list[Text]:
    """`you said 1.90, it was 1.87`, one line a prediction."""
    lines = []
    for p in found.predictions:
        if p.outcome is None:
            continue
        quantity = QUANTITIES[p.quantity]
        interval = ""
        if p.low is not None and p.high is not None:
            interval = f" ({quantity.show(p.low)} to {quantity.show(p.high)})"
        mark, style = {True: ("✓ ", "green"), False: ("✗ ", "yellow"), None: ("  ", "")}[p.inside]
        said = f"{BY[p.by][0]} said {quantity.show(p.value)}{interval}, it was {quantity.show(p.outcome)}"
        lines.append(Text.assemble((mark, style), (f"{quantity.label}: ", "dim"), said))
    return lines


def print_verdicts(console: Console, run: Run, data: LabData) -> None:
    """Score the predictions of a completed run and print how each fared."""
    try:
        found = score_predictions(run, data)
    except ValueError as error:  # damaged while the run trained: no reason to end it as a failure
        console.print(Text(str(error), style="yellow"))
        return
    if found and found.closed:
        step, why = found.closed.get("step"), found.closed.get("why")
        if why != SCORED:
            console.print(Text(f"predictions: closed at step {step} and not scored: {why}", style="dim"))
        elif step != run.status().step:
            console.print(Text(f"predictions, as scored at step {step}:", style="dim"))
    for line in verdict_lines(found) if found else []:
        console.print(line)
