"""How long a run is: steps, tokens, tokens per parameter or minutes, turned into steps once, at the start."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from lab.units import short

MOST_TOKENS = 10**15  # whole numbers of this size still are exact as floats, which is what a reader of JSON has


@dataclass
class HorizonConfig:
    """The length of the run, in exactly one of four units. Raises ValueError where none or several are given.

    Args:
        steps: Optimizer steps.
        tokens: Tokens the model learns from (1e9 is fine).
        tokens_per_parameter: Tokens for each parameter of the model, embeddings counted. About 20 makes the
            best use of a given amount of compute (Hoffmann et al. 2022); models made to be used are trained
            far longer.
        minutes: Training time on this machine. A few steps are timed before the start, and the number of
            steps that follows is fixed then: the schedule needs to know where the end is.
    """

    steps: int | None = None
    tokens: float | None = None
    tokens_per_parameter: float | None = None
    minutes: float | None = None

    def __post_init__(self) -> None:
        given = {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) is not None}
        choices = ", ".join(f"horizon.{f.name}" for f in fields(self))
        problems = [
            f"horizon.{name} is {value}: give a number above 0"
            for name, value in given.items()
            if not (math.isfinite(value) and value > 0)
        ]
        if not given:
            problems.append(f"horizon: the length of the run is not set: give one of {choices}")
        if len(given) > 1:
            both = " and ".join(f"{name}={value:g}" for name, value in given.items())
            problems.append(f"horizon: {both} contradict each other; set exactly one of {choices}")
        if problems:
            raise ValueError("\n".join(problems))


@dataclass(frozen=True)
class Done:
    """What a run has behind it where it goes on: optimizer steps, tokens, seconds of training."""

    steps: int = 0
    tokens: int = 0
    seconds: float = 0.0


def resolve_steps(
    config: HorizonConfig,
    tokens_per_step: int,
    n_parameters: int,
    seconds_per_step: float | None = None,
    done: Done = Done(),
) -> tuple[int, str]:
    """The number of optimizer steps of the whole run, and a sentence that says how it came about.

    Tokens are rounded up to whole steps, minutes down. Steps, tokens and minutes count from the beginning of a run (a
    fork's from that of the run it comes from), whatever a step held before.

    Args:
        tokens_per_step: Tokens one optimizer step learns from, over all micro-batches and processes.
        n_parameters: All parameters of the model.
        seconds_per_step: Measured on this machine; only for `minutes`, which raises ValueError without it or
            where not one step fits.
        done: Of a run that goes on.
    """
    why, wanted = "", config.tokens
    if config.tokens_per_parameter is not None:
        wanted = config.tokens_per_parameter * n_parameters
        why = f"{config.tokens_per_parameter:g} tokens for each of {short(n_parameters)} parameters asked for"
    if config.steps is not None:
        steps = config.steps
    elif wanted is not None:
        steps = done.steps + max(0, math.ceil((wanted - done.tokens) / tokens_per_step))
        why = why or f"{short(wanted)} tokens asked for"
    else:
        assert config.minutes is not None
        if seconds_per_step is None:
            raise ValueError(
                f"horizon.minutes is {config.minutes:g}, but the time of a step on this machine was not measured"
            )
        steps = done.steps + max(0, math.floor((60 * config.minutes - done.seconds) / seconds_per_step))
        if steps < 1:
            raise ValueError(
                f"horizon.minutes is {config.minutes:g}, but a step takes {seconds_per_step / 60:.1f} minutes"
                " here: give more minutes, or make the step smaller (data.tokens_per_step)"
            )
        why = f"{config.minutes:g} minutes at {1000 * seconds_per_step:.3g} ms a step"
        why += f", {done.seconds / 60:.2g} of them gone" if done.seconds else ""
    tokens = done.tokens + (steps - done.steps) * tokens_per_step
    if tokens > MOST_TOKENS:
        raise ValueError(f"the horizon comes to {tokens:.3g} tokens, more than the {MOST_TOKENS:.0e} a run can count")
    number = f"{steps:,} {'step' if steps == 1 else 'steps'}"
    number += f", those from step {done.steps:,} on" if done.tokens != done.steps * tokens_per_step else ""
    length = f"{short(tokens)} tokens, {short(tokens / n_parameters)} per parameter"
    sentence = f"{number} of {tokens_per_step:,} tokens: {length}"
    return steps, f"{sentence} ({why})" if why else sentence
