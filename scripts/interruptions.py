"""Interrupt a training run at random moments, resume it, and compare every loss bit for bit with a run left alone.

    python scripts/interruptions.py --trials 20

Each trial kills the process (SIGKILL, SIGTERM or SIGINT by turns) at a random moment, possibly several times, under
settings that make resuming hard: dropout, gradient accumulation, validation and checkpoints on the same step. After-
wards every checkpoint that was ever written is loaded with `torch.load(weights_only=True)`. `scripts/storm.py` mixes
signals with full disks, changed settings, forks and moves.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
PATIENCE = 1500.0
"""Seconds after which a process counts as hanging."""


@dataclass
class Trial:
    """What one trial found."""

    signals: list[str]
    resumed_from: list[int]
    identical: bool
    detail: str = ""


def fit(args: list[str]) -> subprocess.Popen[bytes]:
    """A fit that SIGINT and SIGHUP interrupt: children of a background shell, of nohup, start with them ignored."""

    def restore_interrupts() -> None:
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)

    return subprocess.Popen(
        [sys.executable, "-m", "lab", "fit", *args],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        preexec_fn=restore_interrupts,
    )


def losses(run: Path) -> dict[int, str]:
    """Every training and validation loss as exact bits; of two lines for one step the later counts."""
    found: dict[int, dict[str, str]] = {}
    for line in (run / "metrics.jsonl").read_text(errors="replace").splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue  # torn by the kill
        for name in ("train/loss", "val/loss"):
            if name in row:
                found.setdefault(row["step"], {})[name] = float(row[name]).hex()
    return {step: str(sorted(values.items())) for step, values in found.items()}


def wait_for_step(run: Path, step: int, process: subprocess.Popen[bytes], seconds: float = PATIENCE) -> None:
    """Return when metrics.jsonl has reached `step`, or the process has ended."""
    deadline = time.monotonic() + seconds
    metrics = run / "metrics.jsonl"
    while time.monotonic() < deadline and process.poll() is None:
        if metrics.exists() and max(losses(run), default=-1) >= step:
            return
        time.sleep(0.02)


def wait_until_at_work(run: Path, process: subprocess.Popen[bytes], seconds: float = PATIENCE) -> None:
    """Return when run.json names this very process: before that, Python itself may still be starting up."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if json.loads((run / "run.json").read_text())["pid"] == process.pid:
                return
        except (OSError, ValueError, KeyError):
            pass
        time.sleep(0.02)


def trial(number: int, root: Path, args: list[str], steps: int, truth: dict[int, str], rng: random.Random) -> Trial:
    """One run, interrupted one to three times, resumed until it is complete."""
    name = f"trial-{number}"
    run = root / name
    sent: list[str] = []
    resumed_from: list[int] = []
    process = fit([*args, "--run.name", name])
    for k in range(rng.choice([1, 1, 2, 3])):
        wait_until_at_work(run, process)
        wait_for_step(run, rng.randrange(1, steps - 1), process)
        # Now and then before the process has even begun to train again.
        time.sleep(rng.random() * rng.choice([0.05, 0.05, 4.0]))
        if process.poll() is not None:
            break
        number_to_send = SIGNALS[(number + k) % len(SIGNALS)]
        process.send_signal(number_to_send)
        _, err = process.communicate(timeout=PATIENCE)
        sent.append(number_to_send.name)
        expected = {signal.SIGKILL: -9, signal.SIGTERM: 143, signal.SIGINT: 130}[number_to_send]
        if json.loads((run / "run.json").read_text())["state"] == "completed":
            break  # it was faster than the signal
        if process.returncode != expected:
            return Trial(sent, resumed_from, False, f"exit code {process.returncode}: {err.decode()[-500:]}")
        has_checkpoint = (run / "checkpoints" / "last.ckpt").exists()
        if not has_checkpoint:  # killed before the first one: start over under the same name
            subprocess.run(["rm", "-r", str(run)], check=True)
            process = fit([*args, "--run.name", name])
            resumed_from.append(0)
        else:
            resumed_from.append(json.loads((run / "checkpoints" / "last.json").read_text())["step"])
            process = fit(["--resume", name, "--run.root", str(root)])
    _, err = process.communicate(timeout=PATIENCE) if process.poll() is None else (b"", b"")
    state = json.loads((run / "run.json").read_text())["state"]
    if state != "completed":
        return Trial(sent, resumed_from, False, f"{state}, exit code {process.returncode}: {err.decode()[-800:]}")
    found = losses(run)
    if "put_off" in (run / "events.jsonl").read_text():
        # A signal in the look after the last step leaves that look out and the run completed, as it says.
        truth, found = ({**all_, steps: ""} for all_ in (truth, found))
    different = sorted(step for step in truth if truth[step] != found.get(step))
    return Trial(sent, resumed_from, found == truth, f"first difference at step {different[0]}" if different else "")


def loadable(root: Path) -> int:
    """Load every checkpoint of every run; the number of them."""
    import torch

    paths = sorted(root.glob("*/checkpoints/*.ckpt"))
    for path in paths:
        torch.load(path, weights_only=True, map_location="cpu")
    return len(paths)


def run_trials(trials: int, root: Path, args: list[str], steps: int, seed: int = 0) -> list[Trial]:
    """The run left alone, then `trials` interrupted ones."""
    process = fit([*args, "--run.name", "truth"])
    _, err = process.communicate(timeout=PATIENCE)
    if process.returncode != 0:
        raise SystemExit(f"the uninterrupted run failed: {err.decode()[-2000:]}")
    truth, rng, results = losses(root / "truth"), random.Random(seed), []
    for number in range(trials):
        results.append(trial(number, root, args, steps, truth, rng))
        print(f"{number + 1:3d}/{trials}", results[-1], flush=True)
    return results


def hard_settings(root: Path, steps: int) -> list[str]:
    """A small model on a synthetic text, with everything on that could disturb a resume."""
    corpus = root / "corpus.txt"
    words = "to be or not to be that is the question whether it is nobler in the mind to suffer".split()  # noqa: SIM905
    rng = random.Random(1)
    corpus.write_text(" ".join(rng.choice(words) for _ in range(20_000)))
    return [
        *("--run.root", str(root), "--data.corpus", "text", "--data.path", str(corpus), "--data.tokenizer", "char"),
        *("--model.config.n_layers", "2", "--model.config.n_heads", "2", "--model.config.d_model", "64"),
        *("--model.config.context_length", "32", "--model.config.dropout", "0.2", "--data.batch_size", "4"),
        *("--data.tokens_per_step", "384", "--data.val_tokens", "2000", "--horizon.steps", str(steps)),
        *(
            "--checkpoint.every",
            "10",
            "--validation.every",
            "10",
            "--trainer.accelerator",
            "cpu",
            "--tensorboard",
            "false",
        ),
    ]


def main() -> int:
    """Print each trial and the verdict; 0 when every one was identical."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        results = run_trials(given.trials, root, hard_settings(root, given.steps), given.steps, given.seed)
        good = sum(r.identical for r in results)
        print(
            f"{good} of {len(results)} interrupted runs bit-identical;"
            f" {loadable(root)} checkpoints load with weights_only=True"
        )
    return 0 if good == len(results) else 1


if __name__ == "__main__":
    sys.exit(main())
