"""The page's password: HTTP Basic with any user name, then a cookie; wrong passwords are answered ever more slowly."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import secrets
from collections import Counter

FIRST_WAIT = 0.2  # seconds before the second try of an address is looked at; doubled with each wrong one
LONGEST_WAIT = 5.0
MOST_WAITING = 8  # tries; more at a time are refused unseen
MOST_ADDRESSES = 10_000  # whose wrong tries are counted
YEAR = 365 * 24 * 3600  # seconds


class TooManyTries(Exception):
    """More wrong passwords at a time than are looked at."""


class Password:
    """Whether a request gives the password.

    Some browsers (Safari) send a stored password with every request but not when a WebSocket is opened, so the first
    right password is answered with a cookie that opens from then on. Its value is derived from the password by scrypt
    (RFC 7914): it survives a restart of the server, and guessing the password from it is slow.
    """

    def __init__(self, password: str) -> None:
        self.password = password.encode()
        derived = hashlib.scrypt(self.password, salt=b"analysis page", n=2**14, r=8, p=1, dklen=32).hex()
        # The password is part of the name: two pages on one host with two passwords keep a cookie each.
        self.cookie = f"analysis_page_{derived[:8]}={derived[8:]}".encode()
        self._wrong: Counter[str] = Counter()
        self._turn = asyncio.Lock()
        self._waiting = 0

    def has_cookie(self, header: bytes) -> bool:
        """Whether the request's Cookie header holds this page's cookie."""
        return any(secrets.compare_digest(part.strip(), self.cookie) for part in header.split(b";"))

    def set_cookie(self, secure: bool) -> bytes:
        """The value of a Set-Cookie header; `secure`: for https alone."""
        rest = f"; Path=/; Max-Age={YEAR}; HttpOnly; SameSite=Strict{'; Secure' if secure else ''}"
        return self.cookie + rest.encode()

    async def is_in(self, authorization: bytes, address: str) -> bool:
        """Whether the request's Authorization header gives the password.

        After a wrong one, further tries from `address` wait in one queue before they are looked at: 0.2 seconds,
        doubled up to 5. Raises `TooManyTries` where the queue is full.
        """
        if not authorization:
            return False
        if self._wrong[address]:
            await self._wait(address)
        right = self._matches(authorization)
        if right:
            del self._wrong[address]
        else:
            if len(self._wrong) > MOST_ADDRESSES:
                self._wrong.clear()
            self._wrong[address] += 1
        return right

    async def _wait(self, address: str) -> None:
        if self._waiting >= MOST_WAITING:
            raise TooManyTries
        self._waiting += 1
        try:
            async with self._turn:
                if wrong := self._wrong[address]:  # 0: a right one came meanwhile
                    await asyncio.sleep(min(FIRST_WAIT * 2 ** min(wrong - 1, 10), LONGEST_WAIT))
        finally:
            self._waiting -= 1

    def _matches(self, authorization: bytes) -> bool:
        kind, _, encoded = authorization.partition(b" ")
        try:
            given = base64.b64decode(encoded, validate=True).partition(b":")[2]
        except binascii.Error:
            return False
        return kind.lower() == b"basic" and secrets.compare_digest(given, self.password)
