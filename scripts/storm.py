"""Random troubles, one after the other, on a tiny run; after each it must hold what a run promises.

    python scripts/storm.py --sequences 200

A sequence is a run that is stopped, killed, spoiled, changed, forked and moved at random steps until it is complete.
After each leg: the state is true, the tokens are those of the batches that were read, the newest checkpoint is not
older than promised, `batch n` is what step n read on both sides of every change, and up to the first change every loss
is, bit for bit, that of a run left alone. Every leg is a process of its own, forked from this one, so signals are real;
troubles come at steps, not at times.
"""

from __future__ import annotations

import argparse
import errno
import functools
import hashlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import lightning as L

from lab.__main__ import main as lab_main
from lab.callbacks.instruments import INSTRUMENTS
from lab.errors import WriteError
from lab.loading import load_data
from lab.runs import Run, open_run

EVERY, STEPS, BATCH, CONTEXT = 4, 16, 4, 16
SIGNALS = {"SIGTERM": 143, "SIGHUP": 129, "SIGKILL": -9}
STOPS = (*SIGNALS, "SIGSTOP", "max_time", "disk", "nan")
CHANGES = ("batch", "context", "horizon", "fork", "moved", "threads")
HARMLESS = ("moved", "threads")


class Trouble(L.Callback):
    """Notes what each step reads, and makes its trouble once `step` updates are done."""

    def __init__(self, kind: str, step: int, notes: str) -> None:
        self.kind, self.step, self.notes = kind, step, notes

    def on_train_batch_start(self, trainer: L.Trainer, module: L.LightningModule, batch: object, _: int) -> None:
        """The batch, as a hash."""
        with open(self.notes, "a", encoding="utf-8") as file:
            file.write(json.dumps([trainer.global_step, *noted(batch)]) + "\n")

    def on_before_optimizer_step(self, trainer: L.Trainer, module: L.LightningModule, *_: object) -> None:
        """A gradient that is not a number."""
        if self.kind == "nan" and trainer.global_step == self.step:
            next(module.parameters()).grad.fill_(float("nan"))  # type: ignore[union-attr]

    def on_train_batch_end(self, trainer: L.Trainer, *_: object) -> None:
        """A signal."""
        if trainer.global_step == self.step and hasattr(signal, self.kind):
            os.kill(os.getpid(), getattr(signal, self.kind))


def noted(batch: object) -> tuple[str, int]:
    """Hash and number of the tokens of a batch."""
    tokens = batch[0]  # type: ignore[index]
    return hashlib.sha256(tokens.numpy().tobytes()).hexdigest()[:16], tokens.numel()


@dataclass
class Sequence:
    """A run in its storm: where it lies, what was done to it, and what did not hold."""

    root: Path
    corpus: Path
    name: str = "run"
    done: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    changed_at: int | None = None
    total: int = STEPS

    @property
    def run(self) -> Run:
        """The run as it lies on the disk."""
        return open_run(self.name, self.root)

    @property
    def notes(self) -> Path:
        """What each step read, in the order of reading."""
        return self.root / f"{self.name}.notes"

    def check(self, what: str, holds: bool) -> None:
        """Note what does not hold."""
        if not holds:
            self.broken.append(f"after {self.done}: {what}")


def leg(sequence: Sequence, args: list[str], kind: str, step: int) -> int:
    """Fit in a process of its own; its exit code, or minus the signal that killed it."""
    spoil = f"{{class_path: {Trouble.__module__}.Trouble, init_args: {{kind: {kind}, step: {step}, notes: "
    child = os.fork()
    if child == 0:
        code = 99
        try:
            log = os.open(sequence.root / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(log, 1)
            os.dup2(log, 2)
            signal.signal(signal.SIGHUP, signal.SIG_DFL)  # ignored under nohup
            if kind == "disk":
                refuse_snapshots()
            limit = ["--trainer.max_time={microseconds: 1}"] if kind == "max_time" else ["--trainer.max_time=null"]
            code = lab_main(["fit", *args, *limit, f"--trainer.callbacks=[{spoil}{sequence.notes}}}}}]"])
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(code)
    while True:
        _, status = os.waitpid(child, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            return os.waitstatus_to_exitcode(status)
        os.kill(child, signal.SIGCONT)


def refuse_snapshots() -> None:
    """A disk that has no room for what is only to look at."""
    import lab.callbacks.snapshots as snapshots

    def refuse(*_: object, **__: object) -> None:
        raise WriteError(errno.ENOSPC, "the disk is full")

    snapshots.write_snapshot = refuse  # type: ignore[assignment]


def settings(root: Path, corpus: Path, name: str) -> list[str]:
    """Dropout, validation and checkpoints on different steps, no instruments: a leg takes a second."""
    values = {
        "run.root": root,
        "run.name": name,
        "data.corpus": "text",
        "data.path": corpus,
        "data.tokenizer": "char",
        "model.config.n_layers": 1,
        "model.config.n_heads": 2,
        "model.config.d_model": 16,
        "levers.threads": 1,
        "model.config.context_length": CONTEXT,
        "model.config.dropout": 0.2,
        "data.batch_size": BATCH,
        "data.val_tokens": 256,
        "horizon.steps": STEPS,
        "checkpoint.every": EVERY,
        "validation.every": 6,
        "snapshots.every": 5,
        "tensorboard": "false",
        "trainer.accelerator": "cpu",
        **{f"{group}.every": 0 for group in (instrument.group for instrument in INSTRUMENTS)},
    }
    return [word for key, value in values.items() for word in (f"--{key}", str(value))]


def change(sequence: Sequence, kind: str, rng: random.Random) -> list[str]:
    """Change the run; the arguments that go on with it."""
    run, more = sequence.run, []
    step = run.checkpoints()[-1].step
    if kind == "moved":
        there = sequence.root / f"moved-{len(sequence.done)}"
        there.mkdir()
        for path in (run.path, sequence.notes):
            shutil.move(path, there / path.name)
        sequence.root = there
    elif kind == "batch":
        more = ["--data.batch_size", str(rng.choice([2, 3, 8]))]
    elif kind == "context":
        more = ["--data.context_length", str(rng.choice([8, 12]))]
    elif kind == "threads":
        more = ["--levers.threads", str(rng.choice([1, 2]))]
    longer = kind == "horizon" or step >= sequence.total - 2
    if longer:
        sequence.total = max(sequence.total, step) + rng.randrange(4, 9)
    if longer or kind not in HARMLESS:
        # What is asked for in steps binds; a fork has a horizon of its own.
        more += ["--horizon.steps", str(sequence.total)]
        sequence.changed_at = step if sequence.changed_at is None else sequence.changed_at
    if kind == "fork":
        name, before = f"{sequence.name}-fork", read_notes(sequence.notes)
        sequence.name = name
        write_notes(sequence.notes, before, step)
        return ["--fork", f"{run.name}@{step}", "--run.root", str(sequence.root), "--run.name", name, *more]
    return ["--resume", sequence.name, "--run.root", str(sequence.root), *more]


def read_notes(path: Path) -> dict[int, list[object]]:
    """Step → hash and number of tokens; of two lines for one step the later counts."""
    rows = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()) if path.exists() else ()
    return {row[0]: row[1:] for row in rows}


def write_notes(path: Path, notes: dict[int, list[object]], end: int) -> None:
    """What the steps before `end` read."""
    path.write_text("".join(json.dumps([n, *notes[n]]) + "\n" for n in sorted(notes) if n < end), encoding="utf-8")


def losses(run: Run) -> dict[int, str]:
    """Training loss of each step as exact bits."""
    return {n: float(x).hex() for n, x in zip(*run.metrics().series("train/loss"), strict=True)}


def verify(sequence: Sequence, kind: str, code: int, begin: int, at: int, truth: dict[int, str]) -> None:
    """All that must hold after a leg from step `begin` on, whose trouble came at `at`."""
    run, check = sequence.run, sequence.check
    status, saved = run.status(), [info.step for info in run.checkpoints()]
    completed = code == 0 and status.state == "completed"
    expected = {**dict.fromkeys(("SIGTERM", "SIGHUP", "max_time"), "stopped"), "SIGKILL": "stale", "nan": "failed"}
    wanted = {"nan": 1, **SIGNALS}.get(kind, 0)
    check(
        f"{kind}: state {status.state}, exit code {code}",
        completed or (status.state, code) == (expected.get(kind), wanted),
    )
    newest = saved[-1] if saved else begin  # where the leg came from, of another run maybe
    promised = at - at % EVERY if kind == "SIGKILL" else status.step or 0
    # A write in the background may be cut off by a kill: then the one before it is the newest.
    cut_off = EVERY if kind == "SIGKILL" else 0
    check(f"newest checkpoint {newest}, step {at}", newest >= promised - cut_off)
    read = read_notes(sequence.notes)
    last = newest if kind == "SIGKILL" else status.step or 0
    tokens = sum(int(str(read[n][1])) for n in range(last))
    told = run.checkpoints()[-1].tokens if kind == "SIGKILL" and saved else status.tokens if saved else tokens
    check(f"{told} tokens told at step {last}, {tokens} read", told == tokens)
    if saved:
        seams = run.seams()
        assert seams is not None
        data = {seam.step: load_data(run, seam.step) for seam in seams.all}
        wrong = [n for n in range(last) if noted(data[seams.at(n).step].step_batch(n))[0] != read[n][0]]
        check(f"batch n is not what was read at the steps {wrong}", not wrong)
    until = len(truth) if sequence.changed_at is None else sequence.changed_at
    wrong = [n for n, loss in losses(run).items() if n < until and loss != truth[n]]
    check(f"other losses at the steps {wrong}", not wrong)


def storm(root: Path, corpus: Path, truth: dict[int, str], rng: random.Random) -> Sequence:
    """One sequence: up to five troubles, then to the end."""
    sequence = Sequence(root, corpus)
    args = settings(root, corpus, sequence.name)
    begin = 0
    for turn in range(rng.randrange(3, 6) + 1):
        last = turn == 5
        kind = "none" if last else rng.choice(STOPS)
        at = rng.randrange(begin + 1, max(begin + 2, sequence.total))
        code = leg(sequence, args, kind, at)
        sequence.done.append(f"{kind}@{at}")
        verify(sequence, kind, code, begin, at, truth)
        if sequence.broken:
            break
        if not sequence.run.checkpoints():  # killed before the first one
            shutil.rmtree(sequence.run.path)
            write_notes(sequence.notes, read_notes(sequence.notes), begin)
            continue
        begin = sequence.run.checkpoints()[-1].step
        changed = rng.choice(CHANGES)
        args = change(sequence, changed, rng)
        sequence.done.append(f"{changed}@{begin}")
    return sequence


def run_storm(sequences: int, folder: Path, seed: int, say: Callable[[str], None] = print) -> list[Sequence]:
    """The run left alone, then so many sequences."""
    corpus, rng = folder / "corpus.txt", random.Random(1)
    words = "to be or not to be that is the question whether it is nobler in the mind to suffer".split()  # noqa: SIM905
    corpus.write_text(" ".join(rng.choice(words) for _ in range(4000)))
    alone = Sequence(folder, corpus, "alone")
    if leg(alone, settings(folder, corpus, "alone"), "none", 0) != 0:
        raise SystemExit(f"the run left alone failed: {(folder / 'log').read_text()[-2000:]}")
    truth, found = losses(alone.run), []
    for number in range(sequences):
        root = folder / f"storm-{number}"
        root.mkdir()
        found.append(storm(root, corpus, truth, random.Random(seed * 100_003 + number)))
        say(f"{number + 1:3d}/{sequences} {' '.join(found[-1].done)} {found[-1].broken or 'holds'}")
        if not found[-1].broken:
            shutil.rmtree(root)
    return found


def main() -> int:
    """Print each sequence and the verdict; 0 when none was broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sequences", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="keep what is broken there (default: a temporary folder)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        folder.mkdir(exist_ok=True)
        found = run_storm(given.sequences, folder, given.seed, functools.partial(print, flush=True))
    broken = [sequence for sequence in found if sequence.broken]
    legs = sum(len(sequence.done) for sequence in found)
    print(f"{len(found)} sequences of {legs} troubles and changes: {len(broken)} broken")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from scripts.storm import main as storm_main  # the callback is found by its name in a package

    sys.exit(storm_main())
