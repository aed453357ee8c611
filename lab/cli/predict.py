"""Predictions around a fit: the lab's and the person's are sealed before its first step and scored after its last."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from typing import Any

import yaml
from rich.console import Console
from rich.text import Text

from lab.data.dataset import LabData
from lab.planning.finished import Finished, finished_runs
from lab.planning.ladder import size
from lab.planning.law import Floor, Forecast, NotEnough, Trained, forecast_loss
from lab.planning.store import kept_plan, plan_path
from lab.runs import Run, list_runs
from lab.runs.compare import flatten
from lab.runs.predictions import Prediction, Predictions, Quantity, outcomes, read_predictions, score, seal

NEWEST_RUNS = 40
"""So many of the newest runs are asked what they know: reading one takes some milliseconds."""
WORD = re.compile(r"\w+")
TEXT_TOKENS = 1_000_000
QUANTITY_OF: dict[str, Quantity] = {
    "final_loss": "final_val_loss",
    "minutes": "minutes",
    "memory_gb": "peak_memory_bytes",
    "overfit": "overfit",
    "sample_quality": "sample_quality",
}
Range = float | list[float] | None


@dataclass
class PredictConfig:
    """What you say before the run; sealed when it starts, scored when it ends (`python -m lab runs calibration`).

    A prediction is a number, or two: the bounds between which the truth will lie in 8 of 10 such cases.

    Args:
        ask: Ask in the terminal for each that is not given.
        final_loss: Validation loss after the last step, nats per token: 1.9, or [1.8, 2.0].
        minutes: Training time.
        memory_gb: Peak memory of the process, or of the GPU, in GB.
        overfit: Whether the validation loss will end more than 1 % above its lowest.
        sample_quality: Percentage of the words in the last samples that are words of the training text.
        mental_model: In your own words: how does this model come to predict the next token?
    """

    ask: bool = False
    final_loss: Range = None
    minutes: Range = None
    memory_gb: Range = None
    overfit: bool | None = None
    sample_quality: Range = None
    mental_model: str | None = None

    def __post_init__(self) -> None:
        problems = []
        for name in QUANTITY_OF:
            value = getattr(self, name)
            bounds = value if isinstance(value, list) else [value]
            if value is not None and (
                len(bounds) not in (1, 2) or any(b < 0 for b in bounds) or bounds != sorted(bounds)
            ):
                problems.append(f"predict.{name} is {value}: give a number of at least 0, or [low, high]")
        if problems:
            raise ValueError("\n".join(problems))

    @property
    def says_anything(self) -> bool:
        """Whether anything was predicted, or is to be asked."""
        return any(getattr(self, f.name) not in (None, False) for f in fields(self) if f.name != "overfit") or (
            self.overfit is not None
        )

    def predictions(self) -> list[Prediction]:
        """As predictions.json holds them."""
        return [_prediction(name, getattr(self, name)) for name in QUANTITY_OF if getattr(self, name) is not None]


def _prediction(name: str, value: Any) -> Prediction:
    scale = 1e9 if name == "memory_gb" else 1.0
    bounds = [scale * float(v) for v in (value if isinstance(value, list) else [value])]
    low, high = (bounds[0], bounds[1]) if len(bounds) == 2 else (None, None)
    return Prediction("person", QUANTITY_OF[name], sum(bounds) / len(bounds), low, high, method="said before the start")


# ---------------------------------------------------------------- before


def earlier_runs(settings: Any, config_text: str, data: LabData, facts: Mapping[str, Any]) -> Finished:
    """The finished runs beside this one that were trained on its text and vocabulary."""
    return finished_runs(
        list_runs(settings.run.root)[-NEWEST_RUNS:],
        corpus=facts["corpus"]["fingerprint"],
        tokenizer=facts["tokenizer"]["fingerprint"],
        validation=facts["validation"]["tokens"],
        settings=flatten(yaml.safe_load(config_text)),
    )


def lab_says(
    kept: Mapping[str, Forecast], earlier: list[Trained], config: Any, tokens: int, floor: Floor | None
) -> list[Prediction]:
    """The lab's predictions: those of the plan that was made of this configuration, else what finished runs tell."""
    found = {k: v for k, v in kept.items() if k in QUANTITY_OF.values()}
    if "final_val_loss" not in found:
        with suppress(NotEnough):
            found["final_val_loss"] = forecast_loss(earlier, size(config), tokens, "finished runs", floor)
    return [
        Prediction("lab", name, f.value, f.low, f.high, method=f.method)  # type: ignore[arg-type]
        for name, f in found.items()
    ]


def seal_predictions(cli: Any, run: Run, steps: int, facts: Mapping[str, Any]) -> Forecast | None:
    """Seal what the lab and the person say of a new run; returns what the lab says of its final validation loss."""
    asked: PredictConfig = cli.instrument("predict")
    if (sealed := read_predictions(run)) is None:
        kept = kept_plan(plan_path(yaml.safe_load(cli.config_text), cli.settings.data.cache_dir))
        earlier = earlier_runs(cli.settings, cli.config_text, cli.datamodule, facts).runs
        if asked.ask:
            interview(asked, first=not any_mental_model(cli.settings.run.root))
        floor = Floor.of(facts["baselines"])
        tokens = steps * cli.datamodule.tokens_per_step
        said = asked.predictions() + lab_says(kept, earlier, cli.model.config, tokens, floor)
        if not said and not asked.mental_model:
            return None
        sealed = seal(run, said, asked.mental_model)
    elif asked.says_anything:  # a run that goes on: what was said stays said
        raise ValueError(f"predict: run {run.name!r} has begun, and its predictions are sealed; leave predict out")
    found = sealed.of("lab", "final_val_loss")
    if found is None or found.low is None or found.high is None:
        return None
    return Forecast(found.value, found.low, found.high, found.method)


def any_mental_model(root: str) -> bool:
    """Whether a run beside this one knows what the person thought before."""
    for run in list_runs(root):
        try:
            found = read_predictions(run)
        except ValueError:
            continue
        if found is not None and found.mental_model:
            return True
    return False


QUESTIONS = {
    "final_loss": "final validation loss, nats per token",
    "minutes": "minutes of training",
    "overfit": "will it overfit (end 1 % above its lowest validation loss)? y/n",
    "sample_quality": "per cent of the words in its last samples that are real words",
}


def interview(asked: PredictConfig, *, first: bool, ask: Callable[[str], str] | None = None) -> None:
    """Ask in the terminal for what was not given; an empty answer says nothing. Raises `ValueError` without one."""
    if ask is None:
        if not sys.stdin.isatty():
            raise ValueError(
                "predict.ask: there is no terminal to ask in; give predictions as --predict.final_loss 1.9"
            )
        ask = input
        print("Your predictions: a number, or two bounds that will hold the truth in 8 of 10 cases. Enter: skip.")
    for name, question in QUESTIONS.items():
        while getattr(asked, name) is None and (answer := ask(f"  {question}: ").strip()):
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


# ---------------------------------------------------------------- after


def score_predictions(run: Run, data: LabData) -> Predictions | None:
    """Hold the sealed predictions of a completed run against what came; None where nothing was predicted."""
    found = read_predictions(run)
    if found is None:
        return None
    quality = sample_quality(run, data) if found.of("person", "sample_quality") else None
    return score(run, outcomes(run.metrics(), sample_quality=quality))


def sample_quality(run: Run, data: LabData) -> float | None:
    """Percentage of the words in the newest samples that occur in the training text; None without either."""
    samples = run.samples()
    if not samples or "train" not in getattr(data, "splits", {"train": 0}):
        return None
    last = samples[-1]["step"]
    words = [w for s in samples if s["step"] == last for w in WORD.findall(s["text"])]
    try:
        known = set(WORD.findall(data.tokenizer.decode(data.token_files["train"].array()[:TEXT_TOKENS].tolist())))
    except (AttributeError, TypeError):  # a made corpus has no text
        return None
    return 100 * sum(w in known for w in words) / len(words) if words else None


def verdict_lines(found: Predictions) -> list[Text]:
    """`you said 1.90, it was 1.87`, one line a prediction."""
    lines = []
    for p in found.predictions:
        if p.outcome is None:
            continue
        whose = "you said" if p.by == "person" else "the lab said"
        interval = (
            "" if p.low is None or p.high is None else f" ({shown(p.quantity, p.low)} to {shown(p.quantity, p.high)})"
        )
        mark, style = {True: ("✓ ", "green"), False: ("✗ ", "yellow"), None: ("  ", "")}[p.inside]
        said, was = shown(p.quantity, p.value), shown(p.quantity, p.outcome)
        lines.append(
            Text.assemble((mark, style), (f"{LABELS[p.quantity]}: ", "dim"), f"{whose} {said}{interval}, it was {was}")
        )
    return lines


LABELS = {
    "final_val_loss": "final loss",
    "minutes": "minutes",
    "peak_memory_bytes": "peak memory",
    "overfit": "overfit",
    "sample_quality": "real words",
}


def shown(quantity: str, value: float) -> str:
    """A value in the unit a person reads."""
    if quantity == "peak_memory_bytes":
        return f"{value / 1e9:.2f} GB"
    if quantity == "overfit":
        return "yes" if value >= 0.5 else "no"
    if quantity == "sample_quality":
        return f"{value:.0f} %"
    return f"{value:.3f}" if quantity == "final_val_loss" else f"{value:.2f}"


def print_verdicts(console: Console, run: Run, data: LabData) -> None:
    """Score, and say how it went."""
    try:
        found = score_predictions(run, data)
    except ValueError as error:  # damaged while the run trained: no reason to end it as a failure
        console.print(Text(str(error), style="yellow"))
        return
    for line in verdict_lines(found) if found else []:
        console.print(line)
