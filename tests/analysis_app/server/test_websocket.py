"""Following a run by WebSocket, as a page does: nothing lost, nothing doubled."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from analysis_app.library.cursor import CHUNK_BYTES
from lab.runs import EventWriter, MetricsWriter, Run, SampleWriter, StatusWriter, create_run
from lab.runs.events import Started
from scripts.page_server import Server, start_server
from tests.patience import PATIENCE


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("live")


@pytest.fixture(scope="module")
def live(root: Path) -> Iterator[Server]:
    """A server over a folder of runs that these tests write themselves."""
    found = start_server(root)
    yield found
    found.stop()


@pytest.fixture
def run(root: Path, request: pytest.FixtureRequest) -> Run:
    return create_run(root, request.node.name.replace("[", "-").replace("]", ""))


def write(run: Run, steps: range, **more: float) -> None:
    with MetricsWriter(run, start_step=steps.start) as metrics:
        for step in steps:
            metrics.write(step, step * 64, step / 10, {"train/loss": 9 - step / 1000, **more})


class Page:
    """What a page does with the messages: rows merged by step, rewinds and resets obeyed."""

    def __init__(self, server: Server, run: Run, cursor: str = "") -> None:
        self.rows: dict[int, dict[str, Any]] = {}
        self.events: list[dict[str, Any]] = []
        self.samples: list[dict[str, Any]] = []
        self.seen: list[str] = []
        self.resets = 0
        self.status: dict[str, Any] = {}
        self.facts: dict[str, Any] = {}
        self.open(server, run, cursor)

    def open(self, server: Server, run: Run, cursor: str) -> None:
        self.cursor = cursor
        url = server.url.replace("http", "ws") + f"/ws/runs/{run.name}?cursor={cursor}"
        connection = connect(url, max_size=None, open_timeout=PATIENCE, ping_interval=None)
        self.socket: ClientConnection = connection.__enter__()

    def hear(self) -> dict[str, Any]:
        """The next message, applied."""
        message: dict[str, Any] = json.loads(self.socket.recv(timeout=PATIENCE))
        kind = message["type"]
        self.seen.append(kind)
        if kind == "hello":
            self.status, self.facts = message["status"], message["facts"]
            if message["reset"]:
                self.rows, self.events, self.samples = {}, [], []
                self.resets += 1
        elif kind == "rewind":
            self.rows = {step: row for step, row in self.rows.items() if step <= message["step"]}
        elif kind == "metrics":
            columns = message["columns"]
            assert len({len(column) for column in columns.values()}) == 1
            for i, step in enumerate(columns["step"]):
                fresh = {name: column[i] for name, column in columns.items() if column[i] is not None}
                self.rows.setdefault(step, {}).update(fresh)
        elif kind in ("events", "samples"):
            getattr(self, kind).extend(message[kind])
        elif kind == "status":
            self.status = message["status"]
        self.cursor = message.get("cursor", self.cursor)
        return message

    def hear_until(self, condition: Any) -> None:
        while not condition(self):
            self.hear()


def the_same(page: Page, run: Run) -> bool:
    truth = {row["step"]: {k: v for k, v in row.items() if v is not None} for row in run.metrics().rows}
    mine = {step: {**row, "wall": truth.get(step, {}).get("wall")} for step, row in page.rows.items()}
    return mine == truth and page.events == [e.as_row() for e in run.events()] and page.samples == run.samples()


def test_a_page_sees_what_is_written_and_what_is_taken_back(live: Server, run: Run) -> None:
    with StatusWriter(run, total_steps=100) as status, EventWriter(run) as events, SampleWriter(run) as samples:
        page = Page(live, run)
        assert page.hear()["status"]["state"] == "starting"
        status.update(state="running", details={"training_seconds": 3.0, "lr_scale": 0.5})
        write(run, range(50))
        events.write(Started(step=0, changed={}))
        samples.write(3, "to be", " or not")
        page.hear_until(lambda p: len(p.rows) == 50 and p.events and p.samples and p.status["state"] == "running")
        write(run, range(20, 30), **{"val/loss": 1.0})
        page.hear_until(lambda p: len(p.rows) == 30 and "rewind" in p.seen)
        assert the_same(page, run)
        assert page.status["control"]["commands"] == ["pause", "stop", "checkpoint", "sample", "lr"]
        assert (page.status["elapsed_seconds"], page.status["lr_scale"]) == (3.0, 0.5)
        status.update(state="paused")
        page.hear_until(lambda p: p.status["state"] == "paused")
        assert "resume" in page.status["control"]["commands"]
        page.hear_until(lambda p: p.seen[-1] == "heartbeat")
    assert page.facts["metrics"]["train/loss"]["unit"] == "nats per token"


def test_a_broken_connection_loses_and_doubles_nothing(live: Server, run: Run) -> None:
    write(run, range(100))
    page = Page(live, run)
    page.hear_until(lambda p: len(p.rows) == 100)
    for more in (range(100, 200), range(150, 160), range(160, 260)):
        page.socket.close()
        write(run, more)
        page.open(live, run, page.cursor)
        page.hear_until(lambda p, n=more.stop: max(p.rows) == n - 1)
    assert the_same(page, run)
    assert page.resets == 1
    assert page.seen.count("metrics") == 4


@pytest.mark.parametrize("how", ["truncated", "replaced", "removed"])
def test_a_file_that_is_another_one_begins_anew(live: Server, run: Run, how: str) -> None:
    write(run, range(100))
    page = Page(live, run)
    page.hear_until(lambda p: len(p.rows) == 100)
    if how == "truncated":
        os.truncate(run.metrics_path, 0)
    else:
        run.metrics_path.unlink()
    if how == "replaced":
        run.metrics_path.write_text("")
    page.hear_until(lambda p: p.resets == 2)
    write(run, range(7))
    page.hear_until(lambda p: len(p.rows) == 7)
    assert the_same(page, run)


def test_torn_lines_are_survived(live: Server, run: Run) -> None:
    write(run, range(10))
    with open(run.metrics_path, "a") as file:
        file.write('{"step": 10, "tok')
    page = Page(live, run)
    page.hear_until(lambda p: len(p.rows) == 10)
    write(run, range(10, 20))
    page.hear_until(lambda p: len(p.rows) == 20)
    assert the_same(page, run)


def test_a_long_history_comes_in_pieces(live: Server, run: Run) -> None:
    n = 40_000
    row = {"tokens": 1, "time": 0.5, "wall": 1.5, "train/loss": 2.5, "train/lr": 1e-3, "train/grad_norm": 0.123456789}
    run.metrics_path.write_bytes(b"".join(json.dumps({"step": i, **row}).encode() + b"\n" for i in range(n)))
    assert run.metrics_path.stat().st_size > CHUNK_BYTES
    pages = [Page(live, run) for _ in range(4)]
    for page in pages:
        page.hear_until(lambda p: len(p.rows) == n)
        assert page.seen.count("metrics") == -(-run.metrics_path.stat().st_size // CHUNK_BYTES)
    cursor, rows, more = "", 0, True
    while more:
        url = f"{live.url}/api/runs/{run.name}/metrics"
        found = httpx.get(url, params={"cursor": cursor}, timeout=PATIENCE).json()
        assert found["reset"] is (cursor == "")
        cursor, more, rows = found["cursor"], found["more"], rows + len(found["columns"]["step"])
    assert rows == n


def test_who_does_not_read_is_not_queued_for_and_still_gets_all(live: Server, run: Run) -> None:
    write(run, range(10))
    slow, quick = Page(live, run), Page(live, run)
    for start in range(10, 20_010, 2000):
        write(run, range(start, start + 2000))
        quick.hear_until(lambda p, n=start + 2000: len(p.rows) == n)
    slow.hear_until(lambda p: len(p.rows) == 20_010)
    assert the_same(slow, run)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("nobody", "no run 'nobody'"),
        ("%2e%2e", "no run '..'"),
        ("a%00b", "no run"),
        ("last?cursor=nonsense", "cursor: not one from this server"),
        ("last?cursor=W1sxLDIsIiIsMV1d", "cursor"),
    ],
)
def test_what_cannot_be_followed_is_said(live: Server, root: Path, path: str, said: str) -> None:
    create_run(root, "known") if not (root / "known").exists() else None
    with connect(live.url.replace("http", "ws") + f"/ws/runs/{path}", open_timeout=PATIENCE) as socket:
        message = json.loads(socket.recv(timeout=PATIENCE))
        assert message["type"] == "error"
        assert said in message["reason"]
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=PATIENCE)
    assert "ERROR" not in "".join(live.log)


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", "http://localhost"])
def test_pages_of_another_origin_are_refused(live: Server, root: Path, origin: str) -> None:
    with pytest.raises(InvalidStatus, match="403"):
        connect(live.url.replace("http", "ws") + "/ws/runs/last", origin=origin, open_timeout=PATIENCE)
    for path in ("train/stop", "train/start", "tokens"):
        found = httpx.post(f"{live.url}/api/{path}", json={}, headers={"Origin": origin}, timeout=PATIENCE)
        assert found.status_code == 403
    cross = {"Sec-Fetch-Site": "cross-site"}
    assert httpx.post(f"{live.url}/api/train/stop", json={}, headers=cross, timeout=PATIENCE).status_code == 403
    form = {"Content-Type": "text/plain"}
    found = httpx.post(f"{live.url}/api/train/stop", content='{"run": "x"}', headers=form, timeout=PATIENCE)
    assert found.status_code == 415
    mine = {"Origin": live.url, "Sec-Fetch-Site": "same-origin"}
    assert (
        httpx.post(f"{live.url}/api/train/stop", json={"run": "x"}, headers=mine, timeout=PATIENCE).status_code == 404
    )
    with connect(live.url.replace("http", "ws") + "/ws/runs/x", origin=live.url, open_timeout=PATIENCE) as socket:
        assert json.loads(socket.recv(timeout=PATIENCE))["type"] == "error"


def test_one_connection_tells_of_the_folder_and_follows_many_runs(live: Server, run: Run) -> None:
    write(run, range(5))
    with connect(live.url.replace("http", "ws") + "/ws", open_timeout=PATIENCE, max_size=None) as socket:

        def hear(kind: str, of: str | None = None) -> dict[str, Any]:
            while True:
                message: dict[str, Any] = json.loads(socket.recv(timeout=PATIENCE))
                if (message["type"], message.get("run")) == (kind, of):
                    return message

        first = hear("runs")
        assert run.name in first["order"]
        assert {one["name"] for one in first["runs"]} == set(first["order"])
        socket.send(json.dumps({"follow": {run.name: "", "nobody": ""}}))
        assert "no run 'nobody'" in hear("error", "nobody")["reason"]
        with StatusWriter(run, total_steps=10) as status:
            status.update(state="running", step=3)
            news = hear("runs")
            while [(one["name"], one["step"]) for one in news["runs"]] != [(run.name, 3)]:
                news = hear("runs")
            socket.send(json.dumps({"follow": {run.name: None}}))  # its state alone from here on
            assert hear("hello", run.name)["reset"]
            assert hear("weights", run.name)["weights"] == []
            write(run, range(5, 9))
            run.snapshots_dir.mkdir(exist_ok=True)
            (run.snapshots_dir / "foreign.txt").write_text("")
            while (message := json.loads(socket.recv(timeout=PATIENCE)))["type"] != "weights":
                assert message["type"] != "metrics"
            assert [row["file"] for row in message["weights"]] == ["snapshots/foreign.txt"]
        socket.send("nonsense")
        while (message := json.loads(socket.recv(timeout=PATIENCE)))["type"] != "error":
            pass
        assert "run" not in message
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=PATIENCE)
    assert "ERROR" not in "".join(live.log)


def test_a_reader_that_is_given_up_stops_looking(live: Server, run: Run) -> None:
    write(run, range(5))
    with StatusWriter(run):
        threads = [threading.Thread(target=lambda: Page(live, run).socket.close()) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        page = Page(live, run)
        page.hear_until(lambda p: len(p.rows) == 5)
    assert "ERROR" not in "".join(live.log)
    assert "never retrieved" not in "".join(live.log)
