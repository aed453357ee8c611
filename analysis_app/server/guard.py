"""Access control: requests of other sites are refused, and with a password all requests without it."""

from __future__ import annotations

from collections.abc import Collection

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from analysis_app.server.password import Password, TooManyTries
from analysis_app.server.proxy import route_path

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
FOREIGN = (
    "pages of another origin may not do this; if a proxy is between this page and its server, start the server with the"
    " name in the browser's address bar: --allow-host NAME"
)


class Guard:
    """ASGI middleware over every route and WebSocket: a password where one is set, else only requests addressed to
    this very machine, so that a page elsewhere cannot point its own name here.

    Pages of another origin may open no WebSocket and change nothing, as a browser would send the stored password with
    their requests. Behind a proxy the page's own origin is one of `allowed_hosts`. Programs send no origin and are
    accepted. Bodies under `/api/` must be JSON, which a page cannot send to another site without a preflight request.
    """

    def __init__(self, app: ASGIApp, password: str | None = None, allowed_hosts: Collection[str] = ()) -> None:
        self.app, self.allowed_hosts = app, {_host(host.encode()) for host in allowed_hosts}
        self.password = None if password is None else Password(password)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self.app(scope, receive, send)
        headers = dict(scope["headers"])
        try:
            knows, cookie = await self._knows(scope, headers)
        except TooManyTries:
            return await _refuse(scope, send, 429, "there were too many wrong passwords: wait a minute")
        if not knows:
            return await _refuse(scope, send, 401, "a password is needed")
        if self.password is None and _host(headers.get(b"host", b"")) not in LOOPBACK:
            return await _refuse(scope, send, 400, "this page answers on this machine only")
        if (scope["type"] == "websocket" or scope["method"] not in READING) and _foreign(headers, self.allowed_hosts):
            return await _refuse(scope, send, 403, FOREIGN)
        if scope["type"] == "http" and _is_odd_body(scope, headers):
            return await _refuse(scope, send, 415, "send JSON, as Content-Type: application/json")
        if _length(headers.get(b"content-length", b"0")) > MOST_BODY:
            return await _refuse(scope, send, 413, "the request is too long")
        await self.app(scope, _limited(receive), _with_headers(send, (*HEADERS, *cookie)))

    async def _knows(self, scope: Scope, headers: dict[bytes, bytes]) -> tuple[bool, list[tuple[bytes, bytes]]]:
        """Whether the request may be answered, and the header that sets the cookie where it has none yet."""
        if self.password is None or self.password.has_cookie(headers.get(b"cookie", b"")):
            return True, []
        address = (scope.get("client") or ("", 0))[0]
        if not await self.password.is_in(headers.get(b"authorization", b""), address):
            return False, []
        secure = scope["scheme"] in ("https", "wss") or headers.get(b"x-forwarded-proto") == b"https"
        return True, [(b"set-cookie", self.password.set_cookie(secure))]


def _foreign(headers: dict[bytes, bytes], allowed_hosts: Collection[str]) -> bool:
    """Whether the headers name a page of another origin (RFC 6454; Fetch Metadata)."""
    origin, site = headers.get(b"origin"), headers.get(b"sec-fetch-site", b"none")
    if origin is not None:
        named = origin.partition(b"://")[2].lower()
        if named != headers.get(b"host", b"").lower() and _host(named) not in allowed_hosts:
            return True
    return site not in (b"same-origin", b"none")


def _is_odd_body(scope: Scope, headers: dict[bytes, bytes]) -> bool:
    kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    return scope["method"] not in READING and route_path(scope).startswith("/api/") and kind != b"application/json"


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


def _with_headers(send: Send, headers: tuple[tuple[bytes, bytes], ...]) -> Send:
    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", []), *headers]}
        await send(message)

    return wrapped


async def _refuse(scope: Scope, send: Send, status: int, sentence: str) -> None:
    """Answer with one sentence: as JSON under `/api/`, where the page reads it, else as text."""
    if scope["type"] == "websocket":
        return await send({"type": "websocket.close", "code": 1008})
    is_api = route_path(scope).startswith("/api/")
    body = orjson.dumps({"error": sentence}) if is_api else f"{sentence}\n".encode()
    headers = [(b"content-type", b"application/json" if is_api else b"text/plain; charset=utf-8")]
    if status == 401:
        headers.append((b"www-authenticate", b'Basic realm="analysis page", charset="UTF-8"'))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
