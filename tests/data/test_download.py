"""Downloads against a server that cuts, lies, forgets and refuses."""

from __future__ import annotations

import errno
import hashlib
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from lab.data import download
from lab.data.download import HUGGING_FACE, RemoteFile, data_root, fetch
from tests.patience import PATIENCE

CONTENT = random.Random(0).randbytes(3_000_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves `content` for every address, with the faults that a test asks for."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content = CONTENT
        self.etag: str | None = '"one"'
        self.cuts: list[int] = []  # bytes after which the next answers break off
        self.statuses: list[int] = []  # what the next answers are instead
        self.ranges = True
        self.stall = 0.0  # seconds of silence before an answer breaks off
        self.wrong_range = False
        self.content_type = "application/octet-stream"
        self.asked: list[str | None] = []  # the Range of each request
        self.paths: list[str] = []
        self.on_request = lambda: None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        server, wanted = self.server, self.headers.get("Range")
        server.asked.append(wanted)
        server.paths.append(self.path)
        server.on_request()
        if server.statuses:
            self.send_error(server.statuses.pop(0))
            return
        start = 0
        if wanted and server.ranges and self.headers.get("If-Range") in (None, server.etag):
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= len(server.content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(server.content)}")
                self.end_headers()
                return
            start += 5 * server.wrong_range
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(server.content) - 1}/{len(server.content)}")
        else:
            self.send_response(200)
        if server.etag:
            self.send_header("ETag", server.etag)
        self.send_header("Content-Type", server.content_type)
        self.send_header("Content-Length", str(len(server.content) - start))
        self.end_headers()
        body = server.content[start:]
        if server.cuts:
            body = body[: server.cuts.pop(0)]
            self.wfile.write(body)
            self.wfile.flush()
            time.sleep(server.stall)
        else:
            self.wfile.write(body)
            self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(download, "_WAIT_SECONDS", 0.001)
    for proxy in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(proxy, raising=False)
    running = Server()
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield running
    running.shutdown()
    thread.join()
    running.server_close()


def remote(server: Server, sha256: str | None = SHA256, name: str = "folder/file.bin") -> RemoteFile:
    return RemoteFile(name, f"{server.url}/file.bin", sha256)


def left_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_file_comes_whole_and_only_once(server: Server, tmp_path: Path) -> None:
    first = fetch(remote(server), tmp_path)
    assert first == tmp_path / "folder" / "file.bin"
    assert first.read_bytes() == CONTENT
    assert fetch(remote(server), tmp_path) == first
    assert server.asked == [None]
    assert left_in(tmp_path) == ["folder/file.bin"]


def test_a_cut_connection_is_resumed_where_it_broke(server: Server, tmp_path: Path) -> None:
    server.cuts = [1_000_000, 500_000]
    assert fetch(remote(server), tmp_path).read_bytes() == CONTENT
    assert server.asked == [None, "bytes=1000000-", "bytes=1500000-"]


@pytest.mark.parametrize("sha256", [SHA256, None], ids=["checksum known", "checksum recorded"])
def test_a_later_process_goes_on_where_the_last_one_stopped(server: Server, tmp_path: Path, sha256: str | None) -> None:
    server.cuts = [2_000_000] + [0] * 20
    with pytest.raises(ValueError, match="cannot download"):
        fetch(remote(server, sha256), tmp_path)
    assert not (tmp_path / "folder" / "file.bin").exists()
    server.cuts, server.asked = [], []
    assert fetch(remote(server, sha256), tmp_path).read_bytes() == CONTENT
    assert server.asked == ["bytes=2000000-"]


def test_killed_in_the_middle(server: Server, tmp_path: Path) -> None:
    server.content = CONTENT * 20
    sha256 = hashlib.sha256(server.content).hexdigest()
    script = f"""
from pathlib import Path
from lab.data import download
real = download._note_validator
def note(part, *rest):
    real(part, *rest)
    import os, threading, time
    def kill():
        while not part.exists() or part.stat().st_size < 1_000_000: time.sleep(0.0005)
        os.kill(os.getpid(), 9)
    threading.Thread(target=kill, daemon=True).start()
download._note_validator = note
download._CHUNK_BYTES = 4096
download.fetch(download.RemoteFile("file.bin", "{server.url}/x", "{sha256}"), Path({str(tmp_path)!r}))
"""
    killed = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=PATIENCE)
    assert killed.returncode == -9, killed.stderr.decode()
    assert left_in(tmp_path) == ["file.bin.download", "file.bin.download.json"]
    assert fetch(remote(server, sha256, "file.bin"), tmp_path).read_bytes() == server.content
    assert server.asked[1].startswith("bytes=")
    assert left_in(tmp_path) == ["file.bin"]


def test_a_server_that_knows_no_ranges(server: Server, tmp_path: Path) -> None:
    server.ranges = False
    server.cuts = [1_000_000]
    assert fetch(remote(server), tmp_path).read_bytes() == CONTENT
    assert server.asked == [None, "bytes=1000000-"]


def test_a_file_that_changed_between_two_attempts_is_fetched_anew(server: Server, tmp_path: Path) -> None:
    server.cuts = [1_000_000]
    old = server.content

    def change() -> None:
        if len(server.asked) == 2:
            server.content, server.etag = bytes(reversed(old)), '"two"'

    server.on_request = change
    assert fetch(remote(server, None), tmp_path).read_bytes() == bytes(reversed(old))


def test_without_checksum_and_etag_nothing_is_resumed(server: Server, tmp_path: Path) -> None:
    server.etag = None
    server.cuts = [1_000_000]
    assert fetch(remote(server, None), tmp_path).read_bytes() == CONTENT
    assert server.asked == [None, None]


def test_an_answer_of_another_range_is_not_taken(server: Server, tmp_path: Path) -> None:
    server.cuts, server.wrong_range = [1_000_000], True
    assert fetch(remote(server), tmp_path).read_bytes() == CONTENT
    assert server.asked == [None, "bytes=1000000-", None]


def test_a_part_that_is_whole_already(server: Server, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file.bin.download").write_bytes(CONTENT)
    assert fetch(remote(server), tmp_path).read_bytes() == CONTENT
    assert left_in(tmp_path) == ["folder/file.bin"]


@pytest.mark.parametrize("rest", [b"of something else", CONTENT + b"and more"])
def test_a_wrong_part_is_thrown_away_once(server: Server, tmp_path: Path, rest: bytes) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file.bin.download").write_bytes(rest)
    assert fetch(remote(server), tmp_path).read_bytes() == CONTENT


def test_wrong_content_is_refused_and_leaves_nothing(server: Server, tmp_path: Path) -> None:
    server.content = CONTENT[:-1] + b"?"
    with pytest.raises(ValueError, match=f"gave other content than expected.*not {SHA256}") as error:
        fetch(remote(server), tmp_path)
    assert server.url in str(error.value)
    assert "--data.corpus python" in str(error.value)
    assert left_in(tmp_path) == []


def test_a_first_download_is_remembered(server: Server, tmp_path: Path) -> None:
    file = fetch(remote(server, None), tmp_path)
    noted = file.with_name("file.bin.sha256").read_text()
    assert noted == f"{SHA256}  file.bin\n"
    checked = subprocess.run(["sha256sum", "-c", "file.bin.sha256"], cwd=file.parent, capture_output=True)
    assert checked.returncode == 0
    file.write_bytes(b"damaged")
    with pytest.raises(ValueError, match=r"is not the published file.*delete it"):
        fetch(remote(server, None), tmp_path)


def test_a_file_put_there_by_hand(server: Server, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file.bin").write_bytes(CONTENT)
    fetch(remote(server), tmp_path)
    (tmp_path / "folder" / "file.bin").write_bytes(b"another")
    with pytest.raises(ValueError, match=f"is not the published file.*expected {SHA256}"):
        fetch(remote(server), tmp_path)
    fetch(remote(server, None), tmp_path)
    assert server.asked == []


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_refusals_are_told_at_once(server: Server, tmp_path: Path, status: int) -> None:
    server.statuses = [status]
    with pytest.raises(
        ValueError, match=rf"cannot download {server.url}/file\.bin: the server answered {status}"
    ) as error:
        fetch(remote(server), tmp_path)
    assert len(server.asked) == 1
    message = str(error.value)
    assert str(tmp_path / "folder" / "file.bin") in message
    assert "LAB_DATA_DIR" in message
    assert "--data.corpus python" in message
    assert "--data.corpus text" in message
    assert "\n" not in message


def test_a_server_in_trouble_is_asked_again(server: Server, tmp_path: Path) -> None:
    server.statuses = [503, 429, 500]
    assert fetch(remote(server), tmp_path).read_bytes() == CONTENT
    assert len(server.asked) == 4


def test_a_server_that_stays_in_trouble(server: Server, tmp_path: Path) -> None:
    server.statuses = [503] * 50
    with pytest.raises(ValueError, match=r"the server answered 503 .*times running"):
        fetch(remote(server), tmp_path)
    assert len(server.asked) == download.RETRIES + 1


def test_a_login_page_is_not_the_file(server: Server, tmp_path: Path) -> None:
    server.content, server.content_type = b"<html>Welcome to the hotel</html>", "text/html; charset=utf-8"
    with pytest.raises(ValueError, match="a web page came instead of the file"):
        fetch(remote(server, None), tmp_path)
    assert left_in(tmp_path) == []


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/file.bin", "http://no-such-host.invalid/file.bin"])
def test_nobody_there_is_told_quickly(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    with pytest.raises(ValueError, match=f"cannot download {url}"):
        fetch(RemoteFile("file.bin", url), tmp_path)
    assert sum(waits) < 5


def test_a_server_that_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "TIMEOUT_SECONDS", 0.2)
    monkeypatch.setattr(download, "_WAIT_SECONDS", 0.001)
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(ValueError, match="timed out"):
        fetch(RemoteFile("file.bin", f"http://127.0.0.1:{silent.getsockname()[1]}/x"), tmp_path)


def test_a_server_that_falls_silent(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "TIMEOUT_SECONDS", 0.3)
    server.cuts, server.stall = [1_000_000], 1.0
    assert fetch(remote(server), tmp_path).read_bytes() == CONTENT
    assert server.asked == [None, "bytes=1000000-"]


def test_a_full_disk_keeps_what_has_come(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def __init__(self, *_: object) -> None: ...
        def __enter__(self) -> Full:
            return self

        def update(self, done: int) -> None:
            if done > 1_000_000:
                raise OSError(errno.ENOSPC, "No space left on device")

        def __exit__(self, *_: object) -> None: ...

    with monkeypatch.context() as patch:
        patch.setattr(download, "Progress", Full)
        with pytest.raises(ValueError, match=r"cannot write .*No space left on device .*goes on where it stopped"):
            fetch(remote(server), tmp_path)
    assert fetch(remote(server), tmp_path).read_bytes() == CONTENT
    assert server.asked[-1] is not None


def test_a_data_folder_that_cannot_be_written(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"cannot be written; set LAB_DATA_DIR"):
        fetch(remote(server), tmp_path / "file")
    assert server.asked == []


def test_two_at_once_download_it_once(server: Server, tmp_path: Path) -> None:
    server.on_request = lambda: time.sleep(0.2)
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(fetch(remote(server), tmp_path))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 3
    assert server.asked == [None]


def test_a_persons_own_files_beside_it_stay(server: Server, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "film.part").write_text("not ours")
    fetch(remote(server), tmp_path)
    assert left_in(tmp_path) == ["folder/file.bin", "folder/film.part"]


def test_a_mirror_of_hugging_face(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", server.url + "/")
    fetch(RemoteFile("a.bin", f"{HUGGING_FACE}/datasets/x/resolve/main/a.bin", SHA256), tmp_path)
    assert server.paths == ["/datasets/x/resolve/main/a.bin"]


def test_where_downloads_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("LAB_DATA_DIR", raising=False)
    assert data_root() == tmp_path / "cache" / "data"
    monkeypatch.setenv("LAB_DATA_DIR", str(tmp_path / "data"))
    assert data_root() == tmp_path / "data"
    assert data_root(tmp_path / "named") == tmp_path / "named"
