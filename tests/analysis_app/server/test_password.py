"""The password: the cookie behind it, and how fast wrong ones are looked at."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest

from analysis_app.server import password as room
from analysis_app.server.password import Password, TooManyTries
from tests.analysis_app.conftest import in_thread


def basic(password: str) -> bytes:
    """The Authorization header that gives `password`."""
    return b"Basic " + base64.b64encode(b"me:" + password.encode())


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that tries had to wait; none of them passes."""
    found: list[float] = []
    real = asyncio.sleep

    async def sleep(seconds: float) -> None:
        found.append(seconds)
        await real(0)

    monkeypatch.setattr(room.asyncio, "sleep", sleep)
    return found


def test_wrong_tries_wait_ever_longer_and_a_right_one_ends_it(waits: list[float]) -> None:
    async def tries() -> list[bool]:
        door = Password("sesame")
        found = [await door.is_in(basic("guess"), "a") for _ in range(9)]
        found.append(await door.is_in(basic("sesame"), "b"))  # another address does not wait
        assert len(waits) == 8
        found.append(await door.is_in(basic("sesame"), "a"))
        found.append(await door.is_in(basic("sesame"), "a"))
        return found

    assert in_thread(tries()) == [False] * 9 + [True] * 3
    assert waits == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0, 5.0]


def test_tries_at_one_time_wait_in_one_queue_and_too_many_are_refused(waits: list[float]) -> None:
    async def tries() -> list[Any]:
        door = Password("sesame")
        return await asyncio.gather(*(door.is_in(basic("guess"), "a") for _ in range(50)), return_exceptions=True)

    found = in_thread(tries())
    assert sum(isinstance(answer, TooManyTries) for answer in found) == 50 - 1 - room.MOST_WAITING
    assert waits == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0]


def test_no_password_at_all_is_no_try(waits: list[float]) -> None:
    door = Password("sesame")
    assert not any(in_thread(door.is_in(b"", "a")) for _ in range(5))
    assert waits == []


@pytest.mark.parametrize("header", [b"Basic", b"Basic ???", b"Bearer x", basic("sesam"), b"Basic c2VzYW1l", b"\xff"])
def test_headers_that_give_no_password(header: bytes) -> None:
    assert not in_thread(Password("sesame").is_in(header, "a"))


def test_the_cookie_is_of_one_password_alone_and_outlives_a_restart() -> None:
    one, again, other = Password("sesame"), Password("sesame"), Password("other")
    cookie = one.set_cookie(secure=True).partition(b";")[0]
    assert again.has_cookie(b"theme=dark; " + cookie)
    assert not other.has_cookie(cookie)
    assert not one.has_cookie(b"")
    assert not one.has_cookie(cookie[:-1])
    assert b"sesame" not in one.set_cookie(secure=False)
    assert {b"HttpOnly", b"SameSite=Strict", b"Secure"} <= set(one.set_cookie(secure=True).split(b"; "))
    assert b"Secure" not in one.set_cookie(secure=False)
