"""Access control: requests of other sites are refused, and with a password all requests without it."""

from __future__ import annotations

import base64
import binascii
import secrets

from starlette.types import ASGIApp, Message, Receive, Scope, Send

# The page draws all it shows itself: under this policy a browser fetches nothing from another site.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' blob: data:; worker-src 'self' blob:; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'"
)
HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)
LOOPBACK = ("127.0.0.1", "localhost", "::1")
MOST_BODY = 4 * 2**20  # bytes of one request: a long text and a thousand written tokens are a twentieth of it
READING = ("GET", "HEAD", "OPTIONS")


class Guard:
    """ASGI middleware over every route and WebSocket: a password (HTTP Basic, any user name) where one is set,
    else only requests addressed to this very machine, so that a page elsewhere cannot point its own name here.

    Pages of another origin may open no WebSocket and change nothing, as a browser would send the stored password with
    their requests. Programs send no origin and are accepted. Bodies under `/api/` must be JSON, which a page cannot
    send to another site without a preflight request.
    """

    def __init__(self, app: ASGIApp, password: str | None = None) -> None:
        self.app, self.password = app, password

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self.app(scope, receive, send)
        headers = dict(scope["headers"])
        if self.password is not None and not self._knows(headers.get(b"authorization", b"")):
            return await _refuse(scope, send, 401, b"a password is needed\n")
        if self.password is None and _host(headers.get(b"host", b"")) not in LOOPBACK:
            return await _refuse(scope, send, 400, b"this page answers on this machine only\n")
        if (scope["type"] == "websocket" or scope["method"] not in READING) and _foreign(headers):
            return await _refuse(scope, send, 403, b"pages of another origin may not do this\n")
        if scope["type"] == "http" and _is_odd_body(scope, headers):
            return await _refuse(scope, send, 415, b"send JSON, as Content-Type: application/json\n")
        if _length(headers.get(b"content-length", b"0")) > MOST_BODY:
            return await _refuse(scope, send, 413, b"the request is too long\n")
        await self.app(scope, _limited(receive), _with_headers(send))

    def _knows(self, given: bytes) -> bool:
        try:
            kind, _, encoded = given.partition(b" ")
            password = base64.b64decode(encoded, validate=True).partition(b":")[2]
        except binascii.Error:
            return False
        assert self.password is not None
        return kind.lower() == b"basic" and secrets.compare_digest(password, self.password.encode())


def _foreign(headers: dict[bytes, bytes]) -> bool:
    """Whether the headers name a page of another origin (RFC 6454; Fetch Metadata)."""
    origin, site = headers.get(b"origin"), headers.get(b"sec-fetch-site", b"none")
    if origin is not None and origin.partition(b"://")[2].lower() != headers.get(b"host", b"").lower():
        return True
    return site not in (b"same-origin", b"none")


def _is_odd_body(scope: Scope, headers: dict[bytes, bytes]) -> bool:
    kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    return scope["method"] not in READING and scope["path"].startswith("/api/") and kind != b"application/json"


def _length(header: bytes) -> int:
    return int(header) if header.isdigit() and len(header) < 18 else MOST_BODY + 1


def _limited(receive: Receive) -> Receive:
    """`receive`, which ends a body without a Content-Length once it is too long."""
    read = 0

    async def wrapped() -> Message:
        nonlocal read
        message = await receive()
        read += len(message.get("body", b""))
        return message if read <= MOST_BODY else {"type": "http.disconnect"}

    return wrapped


def _host(header: bytes) -> str:
    host = header.decode("latin-1").lower()
    return host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]


def _with_headers(send: Send) -> Send:
    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", []), *HEADERS]}
        await send(message)

    return wrapped


async def _refuse(scope: Scope, send: Send, status: int, text: bytes) -> None:
    if scope["type"] == "websocket":
        return await send({"type": "websocket.close", "code": 1008})
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    if status == 401:
        headers.append((b"www-authenticate", b'Basic realm="analysis page", charset="UTF-8"'))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text})
