"""Where a fit starts from: nothing, a run to go on with (`--resume`), or a checkpoint of another run (`--fork`)."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from lab.data.dataset import LabData
from lab.data.places import from_folder
from lab.data.tokenizers import load_tokenizer
from lab.errors import SettingsError
from lab.model import GPTConfig
from lab.presets import read_settings
from lab.runs import Run, open_run
from lab.runs.checkpoints import CheckpointInfo, check_file, last_intact, list_checkpoints
from lab.runs.facts import dig
from lab.runs.seams import Seams
from lab.runs.status import last_status, other_format
from lab.settings.arguments import Arguments
from lab.training.schedules import Course

NAMES_TEXT = {"data.corpus", "data.path"}
CHOOSES_FROM_TEXT = ("corpus_options", "val_fraction", "seed")  # what is read of it, and which part is held out


@dataclass(frozen=True)
class Origin:
    """What a fit starts from. `run` and `checkpoint` are None for a new run."""

    kind: Literal["new", "resume", "fork"]
    run: Run | None = None
    checkpoint: CheckpointInfo | None = None

    @property
    def step(self) -> int:
        """Optimizer steps done at the start."""
        return self.checkpoint.step if self.checkpoint else 0

    @property
    def course(self) -> Course | None:
        """How a run in minutes had gone through its schedule by then; None before its first revision."""
        return Course.parse(dig(self.checkpoint.noted, "details", "course")) if self.checkpoint else None


def find_origin(arguments: Arguments) -> tuple[Origin, Arguments]:
    """Where `--resume RUN` or `--fork RUN@STEP` starts from, and the arguments over that run's stored configuration.

    The stored configuration is used only where no `--config` is given; flags come on top of it either way.
    """
    resume, fork = arguments.value("resume"), arguments.value("fork")
    if resume and fork:
        raise SettingsError("--resume goes on with a run, --fork starts a new one from it: give one of them")
    if resume is None and fork is None:
        return Origin("new"), arguments
    for flag, value, form in (("--resume", resume, "RUN or last"), ("--fork", fork, "RUN@STEP")):
        if value == "":
            raise SettingsError(f"{flag} {value}: say which run, as {flag} {form}")
    name, _, step = (resume or fork or "").partition("@")
    run = open_run(name, root_of(arguments))
    if resume and step:
        raise SettingsError(
            f"--resume {resume}: a run goes on from its newest checkpoint; to branch off: --fork {resume}"
        )
    checkpoint = pick_checkpoint(run, step or None)
    if (status := last_status(run)).state == "broken" and not other_format(run):  # which the fit refuses
        found = "what was decided of it" if status.levers else "nothing of what was decided of it, so that is done anew"
        print(f"run {run.name!r}: {status.reason}; the facts of its checkpoints hold {found}", file=sys.stderr)
    return Origin("resume" if resume else "fork", run, checkpoint), over_stored_configuration(run, arguments)


def over_stored_configuration(run: Run, arguments: Arguments) -> Arguments:
    """The arguments, over the configuration of the run where they name none themselves."""
    if arguments.has_files:
        return arguments
    remedy = "give the configuration that the run began with as --config FILE"
    if not run.config_path.exists():
        raise SettingsError(f"run {run.name!r} has no {run.config_path.name}: {remedy}")
    try:
        stored = read_settings(run.config_path)
    except ValueError as error:
        raise SettingsError(f"{str(error).removeprefix('--config ')}: {remedy}") from None
    callbacks = dig(stored, "trainer", "callbacks")
    for callback in callbacks if isinstance(callbacks, list) else ():
        if isinstance(name := dig(callback, "class_path"), str):
            callback["class_path"] = name.replace("lab.callbacks.sabotage.", "lab.callbacks.faults.")  # until 2026-11
    if isinstance(data := dig(stored, "data"), dict):
        stored["data"] = from_folder(data, seams.last.folder if (seams := run.seams()) else None)
    return arguments.over(stored, str(run.config_path))


def root_of(arguments: Arguments) -> str:
    """The folder of all runs that the arguments name."""
    return arguments.value("run.root") or "runs"


def pick_checkpoint(run: Run, step: str | None) -> CheckpointInfo:
    """The checkpoint at `step`, or the newest that is whole. Raises `SettingsError` naming the steps there are."""
    known = {info.step: info for info in list_checkpoints(run)}
    if step is None:
        newest, problems = last_intact(run)
        for problem in problems:
            print(f"passed over: {problem}", file=sys.stderr)
        if newest is None:
            raise SettingsError(
                f"run {run.name!r} has no whole checkpoint to start from: start it again with"
                f" `python -m lab fit --config {run.config_path}`"
            )
        return newest
    if not step.isdigit() or int(step) not in known:
        steps = ", ".join(map(str, known)) or "none"
        raise SettingsError(f"run {run.name!r} has no checkpoint at step {step}; it has {steps}")
    if damage := check_file(known[int(step)]):
        raise SettingsError(damage)
    return known[int(step)]


def history(origin: Origin) -> Seams | None:
    """What the weights of the checkpoint were trained with, step by step; None for a new run, or where nothing tells.

    How far the training had come is what the checkpoint itself says.
    """
    found, info = origin.run.seams() if origin.run else None, origin.checkpoint
    if found is None or info is None:
        return None
    found = found.until(info.step)
    held, tokens = found.at(info.step), found.tokens_at(info.step) if info.tokens is None else info.tokens
    sequences = held.sequence_at(info.step) if info.sequences is None else info.sequences
    if (tokens, sequences) == (held.tokens_at(info.step), held.sequence_at(info.step)):
        return found
    return found.then(replace(held, step=info.step, tokens=tokens, sequences=sequences, changed={}))


def same_text(origin: Origin, before: Seams | None, data: LabData) -> str | None:
    """Why the text is not the one that the checkpoint was trained with last; None where it is, or nothing tells."""
    if origin.run is None or before is None:
        return None
    facts: Mapping[str, Any] = {}
    with suppress(ValueError):  # damaged
        facts = origin.run.data() or {}
    return data.differs_from(before.last.described(facts))


def _chosen_as_before(data: LabData, changed: Mapping[str, tuple[Any, Any]]) -> LabData:
    """The data before settings were changed that choose from a text: that text must be what it was all the same."""
    before = {name: changed[f"data.{name}"][0] for name in CHOOSES_FROM_TEXT if f"data.{name}" in changed}
    return LabData(**{**vars(data.settings), **before}) if before else data


def refuse_other_architecture(origin: Origin, config: GPTConfig) -> None:
    """Weights of one shape cannot go on in a network of another. Raises `SettingsError` naming each such setting.

    Where no weight belongs to a position (rope, none), the context may grow or shrink.
    """
    if origin.run is None or origin.checkpoint is None:
        return
    stored, now = origin.checkpoint.model_config, asdict(config)
    free = ("vocab_size",) if config.positions == "learned" else ("vocab_size", "context_length")
    refused = [
        f"model.config.{name} was {stored[name]!r} in run {origin.run.name!r} and is now {now[name]!r}"
        for name in now
        if name not in free and stored.get(name, now[name]) != now[name]
    ]
    if refused:
        raise SettingsError(
            "\n".join([*refused, "the architecture of a run cannot change: take the setting back, or start a new run"])
        )


def refuse_other_data(origin: Origin, before: Seams | None, changed: dict[str, tuple[Any, Any]], data: LabData) -> None:
    """Refuse, before a file of the run is touched, a vocabulary the weights do not know, and a text that is no longer
    the one the run began with though no setting says so.

    Vocabularies of one size are not one vocabulary: the ids of the other would mean other tokens, and nothing but the
    loss would tell. Raises `SettingsError`.
    """
    run = origin.run
    if run is None:
        return
    size = origin.checkpoint.model_config.get("vocab_size") if origin.checkpoint else None
    other = size not in (None, data.vocab_size)
    if not other and run.tokenizer_path.exists():
        try:
            other = data.tokenizer.to_json() != load_tokenizer(run.tokenizer_path).to_json()
        except ValueError as error:
            raise SettingsError(f"{error}; delete it, and it is made again from the run's text") from None
    if other:
        raise SettingsError(
            f"the vocabulary would not be the one that run {run.name!r} learned: its text, data.tokenizer or"
            f" data.vocab_size has changed; keep it by --data.tokenizer {run.tokenizer_path}, or start a new run"
        )
    asked = origin.kind == "fork" or changed.keys() & NAMES_TEXT
    if not asked and (why := same_text(origin, before, _chosen_as_before(data, changed))) is not None:
        raise SettingsError(
            f"the text of corpus {data.settings.corpus!r} is no longer what run {run.name!r} began with ({why}):"
            f" put that back, or learn from it as it is now in a run of its own: --fork {run.name}"
        )
