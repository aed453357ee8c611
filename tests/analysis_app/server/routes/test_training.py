"""Starting and steering a training by the routes, as the page does."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from lab.runs import Run
from lab.runs.processes import process_start
from scripts.page_server import Server, start_server
from tests.analysis_app.server.test_websocket import Page
from tests.patience import PATIENCE
from tests.tiny import write_corpus

TINY: dict[str, Any] = {
    "n_layers": 2,
    "n_heads": 2,
    "d_model": 32,
    "context_length": 16,
    "batch_size": 4,
    "val_tokens": 256,
    "file": "corpus.txt",
    "tokenizer": "char",
    "steps": 100_000,
    "checkpoint_every": 50,
    "validate_every": 500,
    "samples_every": 0,
    "tensorboard": False,
    "log_every": 1,
    "warmup_steps": 10,
    "note": 'say "hi": #1',
}


def wait_until(condition: Callable[[], Any], patience: float = PATIENCE) -> Any:
    deadline = time.monotonic() + patience
    while not (found := condition()):
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.05)
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Runs and data of these tests; whatever still trains at the end is ended."""
    folder = tmp_path_factory.mktemp("training")
    for name in ("runs", "data/inside"):
        (folder / name).mkdir(parents=True)
    write_corpus(folder / "data" / "corpus.txt")
    (folder / "secret.txt").write_text("secret")
    (folder / "data" / "link.txt").symlink_to(folder / "secret.txt")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAB_DATA_DIR", str(folder / "data"))
        yield folder
    for path in (folder / "runs").iterdir():
        status = Run(path).status()
        if status.active and status.pid:
            os.kill(status.pid, signal.SIGKILL)


class Steering:
    """A client of the routes; the server may be changed for another one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server: Server = start_server(folder / "runs")

    def post(self, path: str, **body: Any) -> tuple[int, dict[str, Any]]:
        found = httpx.post(f"{self.server.url}/api/train/{path}", json=body, timeout=PATIENCE)
        return found.status_code, found.json()

    def status(self, run: str) -> dict[str, Any]:
        found = httpx.get(f"{self.server.url}/api/train/status", params={"run": run}, timeout=PATIENCE)
        assert found.status_code == 200, found.text
        return dict(found.json())

    def wait_for(self, run: str, state: str, step: int = 0) -> dict[str, Any]:
        def there() -> dict[str, Any] | None:
            found = self.status(run)
            assert found["state"] not in ("failed", "broken"), found
            return found if found["state"] == state and (found["step"] or 0) >= step else None

        return dict(wait_until(there))


@pytest.fixture(scope="module")
def steering(folder: Path) -> Iterator[Steering]:
    found = Steering(folder)
    yield found
    found.server.stop()


def test_one_run_through_everything(steering: Steering, folder: Path) -> None:
    """Started, watched, the server killed and started anew, paused, the trainer killed, resumed, stopped."""
    code, started = steering.post("start", config="shakespeare_char", overrides=TINY, run="fox")
    assert (code, started["run"], started["state"]) == (202, "fox", "starting"), started
    assert steering.status("fox")["state"] in ("starting", "running")
    code, refused = steering.post("start", config="shakespeare_char", overrides=TINY, run="fox")
    assert (code, "fox" in refused["error"]) == (409, True)
    alive = steering.wait_for("fox", "running", 20)
    assert alive["pid"] == started["pid"]
    run = Run(folder / "runs" / "fox")
    config = run.config() or {}
    assert (config["run"]["note"], config["data"]["path"]) == (TINY["note"], str(folder / "data" / "corpus.txt"))

    page = Page(steering.server, run)
    page.hear_until(lambda p: len(p.rows) > 20)
    steering.server.process.kill()
    steering.server.process.wait()
    steering.server = start_server(folder / "runs")
    assert process_start(started["pid"]) is not None, "the training does not know of the server"
    page.open(steering.server, run, page.cursor)
    before = max(page.rows)
    page.hear_until(lambda p: max(p.rows) > before + 20)
    assert sorted(page.rows) == list(range(max(page.rows) + 1)), "a gap in the curve"

    code, paused = steering.post("pause", run="fox", wait=60)
    assert (code, paused["answer"]["kind"]) == (202, "command_answered")
    assert steering.status("fox")["state"] == "paused"
    assert steering.post("start", config="quickstart", run="fox")[0] == 409
    code, said = steering.post("lr", run="fox", value=0.5, wait=60)
    assert (said["id"], said["answer"]["lr_scale"]) == (said["answer"]["id"], 0.5)
    wait_until(lambda: steering.status("fox")["lr_scale"] == 0.5)
    assert steering.post("checkpoint", run="fox", wait=60)[1]["answer"]["file"].endswith(".ckpt")
    assert steering.post("resume", run="fox", wait=60)[1]["command"] == "resume"
    saved = steering.status("fox")["checkpoint"]["step"]

    wait_until(lambda: steering.status("fox")["step"] > saved + 5)
    os.kill(started["pid"], signal.SIGKILL)
    with open(run.metrics_path, "ab") as file:
        file.write(b'{"step": 1000000, "tok')  # what it was writing
    dead = wait_until(lambda: (s := steering.status("fox"))["state"] == "stale" and s, 15)
    assert f"process {started['pid']} is gone" in dead["reason"]
    assert dead["since"] == pytest.approx(time.time(), abs=60)
    assert "fit --resume fox" in dead["resume"]
    assert not dead["control"]["available"]
    code, refused = steering.post("stop", run="fox")
    assert (code, "is stale" in refused["error"]) == (409, True)
    code, again = steering.post("resume", run="fox")
    assert (code, again["kind"]) == (202, "resume"), again
    assert steering.post("resume", run="fox")[0] == 409
    assert steering.wait_for("fox", "running", saved + 5)["pid"] == again["pid"]
    page.hear_until(lambda p: p.status["pid"] == again["pid"] and p.status["step"] > saved + 5)
    assert steering.post("stop", run="fox", wait=60)[1]["answer"]["saved"]
    wait_until(lambda: steering.status("fox")["state"] == "stopped")
    page.hear_until(lambda p: p.status["state"] == "stopped")
    page.hear_until(lambda p: sorted(p.rows) == [row["step"] for row in run.metrics().rows])
    assert sorted(page.rows) == list(range(max(page.rows) + 1))
    assert steering.status("fox")["lr_scale"] == 0.5, "the rate went on as it was steered"


def test_settings_that_do_not_go_together_are_refused_and_nothing_is_left(steering: Steering, folder: Path) -> None:
    code, refused = steering.post("start", config="shakespeare_char", overrides=TINY | {"n_heads": 3}, run="odd")
    assert (code, "d_model=32 is not divisible by n_heads=3" in refused["error"]) == (422, True)
    assert not (folder / "runs" / "odd").exists()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"config": "../../etc/passwd"}, "there is no such configuration; there are"),
        ({"config": "/etc/passwd"}, "there is no such configuration"),
        ({"config": "model/nano"}, "there is no such configuration"),
        (
            {"config": "quickstart", "overrides": {"trainer.callbacks": "os.system"}},
            "'trainer.callbacks' is no setting",
        ),
        ({"config": "quickstart", "overrides": {"config": "x.yaml"}}, "'config' is no setting"),
        ({"config": "quickstart", "overrides": {"run.root": "/tmp"}}, "'run.root' is no setting"),
        ({"config": "quickstart", "overrides": {"data.data_dir": "/etc"}}, "'data.data_dir' is no setting"),
        ({"config": "quickstart", "overrides": {"stepz": 1}}, "did you mean 'steps'"),
        ({"config": "quickstart", "overrides": {"file": "../secret.txt"}}, "no such text in the data folder"),
        ({"config": "quickstart", "overrides": {"file": "link.txt"}}, "no such text in the data folder"),
        ({"config": "quickstart", "overrides": {"file": "/etc/passwd"}}, "no such text in the data folder"),
        ({"config": "quickstart", "overrides": {"file": "a\x00b"}}, "no such text in the data folder"),
        ({"config": "quickstart", "overrides": {"file": "inside"}}, "no such text in the data folder"),
        ({"config": "quickstart", "overrides": {"preset": "../../x"}}, "there are large, medium"),
        ({"config": "quickstart", "overrides": {"tokenizer": "x.json"}}, "there are char, bpe"),
        ({"config": "quickstart", "overrides": {"lr": "1e-3"}}, "lr is 1e-3: give a number"),
        ({"config": "quickstart", "overrides": {"lr": -1}}, "lr is -1: give a number"),
        ({"config": "quickstart", "overrides": {"steps": 1.5}}, "steps is 1.5: give a whole number"),
        ({"config": "quickstart", "overrides": {"steps": True}}, "steps is True: give a whole number"),
        ({"config": "quickstart", "overrides": {"tensorboard": "yes"}}, "give true or false"),
        ({"config": "quickstart", "overrides": {"note": "a\nb"}}, "one line"),
        ({"config": "quickstart", "overrides": {"steps": 5, "minutes": 1}}, "steps and minutes contradict"),
        ({"config": "quickstart", "overrides": {"corpus": "python", "file": "corpus.txt"}}, "contradict"),
        ({"config": "quickstart", "run": "../out"}, "run name '../out' cannot be used"),
        ({"config": "quickstart", "run": "--config=x"}, "cannot be used"),
        ({"config": "quickstart", "run": "last"}, "stands for the newest run"),
        ({"config": "quickstart", "command": "rm"}, "extra inputs are not permitted"),
        ({"config": ["quickstart"]}, "config"),
        ({}, "config: field required"),
    ],
)
def test_only_known_settings_are_taken(steering: Steering, body: dict[str, Any], said: str) -> None:
    code, refused = steering.post("start", **body)
    assert (code, said in refused["error"]) == (422, True), refused


def test_commands_to_the_dead_and_the_unknown(steering: Steering, folder: Path) -> None:
    foreign = folder / "runs" / "foreign"
    foreign.mkdir()
    (foreign / "run.json").write_text(json.dumps({"format": 99, "state": "running"}))
    for command, body in (("pause", {}), ("stop", {}), ("checkpoint", {}), ("sample", {}), ("lr", {"value": 1})):
        code, refused = steering.post(command, run="foreign", **body)
        assert (code, "format 99" in refused["error"]) == (409, True)
        assert steering.post(command, run="nobody", **body)[0] == 404
        assert steering.post(command, run="../fox", **body)[0] == 404
    assert not list(foreign.glob("control/*"))
    assert steering.status("foreign")["state"] == "broken"
    assert steering.post("lr", run="foreign", value=-1)[0] == 422
    assert steering.post("lr", run="foreign")[0] == 422
    assert steering.post("pause", run="foreign", wait=1e9)[0] == 422


def test_what_can_be_started_and_how_large_it_is(steering: Steering) -> None:
    found = httpx.get(f"{steering.server.url}/api/train/options", timeout=PATIENCE).json()
    names = {one["name"] for one in found["configurations"]}
    assert {"quickstart", "shakespeare_char", "experiments/markov"} <= names
    assert found["files"] == ["corpus.txt", "link.txt"]
    assert {preset["name"] for preset in found["presets"]} >= {"pico", "nano", "small"}
    code, size = steering.post("plan", config="quickstart")
    assert (code, size["parameters"]["total"], size["vocab_size"]) == (200, 1_049_984, 2048), size
    assert steering.post("plan", config="quickstart", overrides={"preset": "nano"})[1]["n_layers"] == 6
    assert steering.post("plan", config="quickstart", overrides={"n_heads": 3})[0] == 422
    code, refused = steering.post("rehearse", config="quickstart", overrides={"n_heads": 3})
    assert code == 422, refused
    assert "n_heads" in refused["error"]
