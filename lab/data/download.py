"""Published files by download: whole or not at all, checked, and resumed where they were cut off.

`fetch` gives the path of a file, downloading it only where it is not there yet. While it comes it is called
`NAME.download`; it gets its name when it is complete and its checksum right. A checksum that is not known beforehand is
written to `NAME.sha256` at the first download, and the file must match it ever after.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import shutil
import ssl
import time
import urllib.error
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.data.cache import cache_root, locked
from lab.data.checksum import noted_sha256
from lab.data.progress import Progress
from lab.files import as_path

HUGGING_FACE = "https://huggingface.co"
TIMEOUT_SECONDS = 10.0
RETRIES = 5
_WAIT_SECONDS = 0.25  # before another attempt; doubled for each that brought nothing
_CHUNK_BYTES = 1 << 20
_ALTERNATIVE = "train on text that is already here: --data.corpus python, or --data.corpus text --data.path FILE"


@dataclass(frozen=True)
class RemoteFile:
    """A published file: its `name` under the data folder, its address, and its sha256 where that is known."""

    name: str
    url: str
    sha256: str | None = None


class _Refused(Exception):
    """The server answered, and trying again will not change the answer."""


def data_root(data_dir: str | os.PathLike[str] | None = None) -> Path:
    """The folder for downloads: `data_dir`, else `LAB_DATA_DIR`, else `data` in the cache."""
    chosen = data_dir or os.environ.get("LAB_DATA_DIR") or cache_root() / "data"
    return as_path(chosen)


def fetch(remote: RemoteFile, data_dir: str | os.PathLike[str] | None = None) -> Path:
    """The path of `remote` in the data folder, downloaded first if it is not there.

    A file put there by hand is as good. Interrupted, it goes on where it stopped; two processes that want one file
    download it once. `HF_ENDPOINT` names a mirror of huggingface.co. Raises `ValueError`: no network, no such file, no
    room, or another content than expected.
    """
    target = data_root(data_dir) / remote.name
    if not target.exists():
        _check_writable(target.parent, remote, target)
        # The lock lies in the cache: the data folder holds nothing but data.
        with locked(cache_root() / "locks" / hashlib.sha256(str(target.resolve()).encode()).hexdigest()[:32]):
            if not target.exists():
                _download(remote, target)
    _verify(remote, target)
    return target


def _verify(remote: RemoteFile, file: Path) -> None:
    """Raise `ValueError` unless the file is the one that was published, or the one first downloaded."""
    expected = remote.sha256 or _recorded(file)
    if expected is not None and (found := noted_sha256(file)) != expected:
        raise ValueError(
            f"{file} is not the published file: its sha256 is {found}, expected {expected}; delete it to"
            f" download it again, or use it as your own text: --data.corpus text --data.path {file}"
        )


def _recorded(file: Path) -> str | None:
    """The checksum noted at the first download, in the format of sha256sum."""
    try:
        return _beside(file, ".sha256").read_text("utf-8").split()[0]
    except (OSError, IndexError, UnicodeDecodeError):
        return None


def _beside(file: Path, suffix: str) -> Path:
    return file.with_name(file.name + suffix)


def _check_writable(folder: Path, remote: RemoteFile, target: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK)
    except OSError:
        writable = False
    if not writable:
        raise ValueError(
            f"{remote.name} is not in the data folder, and {folder} cannot be written; set LAB_DATA_DIR (or"
            f" --data.data_dir) to a folder that can, or put {remote.url} there as {target}"
        )


# ---------------------------------------------------------------- the download


def _download(remote: RemoteFile, target: Path) -> None:
    part = _beside(target, ".download")
    resumed = part.exists()
    _transfer_all(remote, target, part)
    found = noted_sha256(part)
    if remote.sha256 not in (None, found) and resumed:
        # What an earlier attempt left may have been of another file: once more, from nothing.
        _discard(part)
        _transfer_all(remote, target, part)
        found = noted_sha256(part)
    if remote.sha256 not in (None, found):
        _discard(part)
        raise ValueError(
            f"{remote.url} gave other content than expected: sha256 {found}, not {remote.sha256}; it was"
            f" damaged on the way, or the file has changed. Try again, or {_ALTERNATIVE}"
        )
    with open(part, "rb+") as file:
        os.fsync(file.fileno())
    if remote.sha256 is None:
        _beside(target, ".sha256").write_text(f"{found}  {target.name}\n", "utf-8")
    os.replace(part, target)
    _discard(part)


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _discard(part: Path) -> None:
    part.unlink(missing_ok=True)
    _beside(part, ".json").unlink(missing_ok=True)


def _transfer_all(remote: RemoteFile, target: Path, part: Path) -> None:
    """Fetch until the file is whole. An attempt that brought some of it doesn't count as a failure."""
    url = _mirrored(remote.url)
    failures = 0
    while True:
        before = _size(part)
        try:
            if _transfer(url, part, remote):
                return
            reason = "the connection was cut"
        except _Refused as error:
            raise _explain(str(error), url, target) from error
        except (urllib.error.URLError, TimeoutError) as error:
            reason = str(getattr(error, "reason", error))
            # Nothing came yet: without a network, trying again would only delay the message.
            if _size(part) == 0:
                raise _explain(reason, url, target) from error
        except (ConnectionError, ssl.SSLError, http.client.HTTPException) as error:
            reason = str(error) or type(error).__name__
        except OSError as error:
            free = shutil.disk_usage(part.parent).free >> 20
            raise ValueError(
                f"cannot write {part}: {error.strerror or error} ({free} MB free); make room or set"
                " LAB_DATA_DIR to another disk; the download goes on where it stopped"
            ) from error
        failures = 0 if _size(part) > before else failures + 1
        if failures > RETRIES:
            raise _explain(f"{reason}, {failures} times running", url, target)
        time.sleep(min(_WAIT_SECONDS * 2.0**failures, 10.0))


def _mirrored(url: str) -> str:
    endpoint = os.environ.get("HF_ENDPOINT", "").rstrip("/")
    return endpoint + url.removeprefix(HUGGING_FACE) if endpoint and url.startswith(HUGGING_FACE) else url


def _explain(reason: str, url: str, target: Path) -> ValueError:
    return ValueError(
        f"cannot download {url}: {reason}; check the network, or fetch it elsewhere and put it at {target}"
        f" (LAB_DATA_DIR chooses the folder), or {_ALTERNATIVE}"
    )


def _transfer(url: str, part: Path, remote: RemoteFile) -> bool:
    """One connection: append what it brings. Returns whether the file is whole now."""
    have = _size(part)
    validator = _validator(part, url)
    if have and remote.sha256 is None and validator is None:
        have = 0  # nothing would tell a file that changed in between from one that did not
    headers = {"User-Agent": "pretraining-lab"}
    if have:
        headers["Range"] = f"bytes={have}-"
        headers |= {"If-Range": validator} if validator else {}
    try:
        response = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        return _answered(error, have, part)
    with response:
        if "text/html" in response.headers.get("Content-Type", ""):
            raise _Refused("a web page came instead of the file (does this network ask for a login?)")
        start = _start_of(response)
        if start not in (0, have):
            _discard(part)  # not what was asked for: begin anew
            return False
        length = response.headers.get("Content-Length")
        total = None if length is None else start + int(length)
        _note_validator(part, url, response.headers)
        with open(part, "ab" if start else "wb") as file, Progress(f"downloading {remote.name}", total) as progress:
            done = start
            while chunk := response.read1(_CHUNK_BYTES):
                file.write(chunk)
                done += len(chunk)
                progress.update(done)
    return total is None or done == total


def _start_of(response: Any) -> int:
    """The first byte the response brings: what its Content-Range says, or 0 for the whole file."""
    if response.status != 206:
        return 0
    with suppress(ValueError, IndexError):
        return int(response.headers.get("Content-Range", "").removeprefix("bytes ").split("-")[0])
    return -1


def _answered(error: urllib.error.HTTPError, have: int, part: Path) -> bool:
    """What an HTTP error means: whole already, worth another try (False), or refused for good."""
    with error:
        if error.code == 416 and have:
            if error.headers.get("Content-Range", "").endswith(f"/{have}"):
                return True
            _discard(part)
            return False
        if error.code in (408, 429) or error.code >= 500:
            raise ConnectionError(f"the server answered {error.code} {error.reason}")
        raise _Refused(f"the server answered {error.code} {error.reason}")


def _validator(part: Path, url: str) -> str | None:
    """The server's mark of the file that `part` is the beginning of."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        noted = json.loads(_beside(part, ".json").read_text("utf-8"))
        if noted["url"] == url:
            return str(noted["validator"])
    return None


def _note_validator(part: Path, url: str, headers: Any) -> None:
    etag = headers.get("ETag")
    strong = etag if etag and not etag.startswith("W/") else None
    note = _beside(part, ".json")
    if strong:
        note.write_text(json.dumps({"url": url, "validator": strong}), "utf-8")
    else:
        note.unlink(missing_ok=True)
