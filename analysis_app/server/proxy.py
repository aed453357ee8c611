"""The page behind a reverse proxy: its own address is the browser's, and a prefix that is passed on is taken off."""

from __future__ import annotations

import re

from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Gradio writes the address that the request was sent to into its page. Behind a proxy that is an inner one
# (`http://127.0.0.1:7861`), so this expression, the folder that the browser has the page from, takes its place.
OWN_ADDRESS = b'new URL(".", document.baseURI).href.slice(0, -1)'
NAMED_ADDRESS = re.compile(rb'"root": ?("https?://[^"]*")')


class Proxied:
    """ASGI middleware around everything: correct addresses and paths behind a proxy.

    Args:
        prefix: The path that the page has at the proxy, such as `/lab`. Proxies that pass it on and proxies that take
            it off are both understood; for the latter it need not be given.
    """

    def __init__(self, app: ASGIApp, prefix: str = "") -> None:
        self.app, self.prefix = app, prefix.rstrip("/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self.app(scope, receive, send)
        if self.prefix and scope["path"] == self.prefix:
            return await _redirect(scope, send, f"{self.prefix}/")
        if self.prefix:
            inner = scope["path"] if scope["path"].startswith(f"{self.prefix}/") else self.prefix + scope["path"]
            scope = {**scope, "path": inner, "root_path": self.prefix}
        if scope["type"] == "http" and scope["method"] == "GET" and _wants_page(scope):
            send = _Page(scope["path"], send)
        await self.app(scope, receive, send)


def route_path(scope: Scope) -> str:
    """The path of a request without the prefix."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


class _Page:
    """Collects a page, corrects its own address in it, and sends it on; one that is not there becomes a sentence."""

    def __init__(self, path: str, send: Send) -> None:
        self.path, self.send = path, send
        self.start: Message | None = None
        self.body = bytearray()

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _is_page(message):
            self.start = message
        elif message["type"] != "http.response.body" or self.start is None:
            await self.send(message)
        else:
            self.body += message.get("body", b"")
            if not message.get("more_body", False):
                await self._finish(self.start)

    async def _finish(self, start: Message) -> None:
        headers = [(name, value) for name, value in start["headers"] if name.lower() != b"content-length"]
        body = bytes(self.body)
        if start["status"] == 404:
            headers = [(name, value) for name, value in headers if name.lower() != b"content-type"]
            headers.append((b"content-type", b"text/plain; charset=utf-8"))
            body = f"There is no page at {self.path}\n{REMEDY}\n".encode()
        elif named := NAMED_ADDRESS.search(body):
            body = body.replace(named[1], OWN_ADDRESS)
        headers.append((b"content-length", str(len(body)).encode()))
        await self.send({**start, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})


REMEDY = "Behind a proxy that passes a prefix on, start the page with it: --root-path /PREFIX"


def _wants_page(scope: Scope) -> bool:
    return b"text/html" in dict(scope["headers"]).get(b"accept", b"")


def _is_page(start: Message) -> bool:
    kind = dict(start.get("headers", ())).get(b"content-type", b"")
    return start["status"] == 404 or kind.startswith(b"text/html")


async def _redirect(scope: Scope, send: Send, to: str) -> None:
    if scope["type"] == "websocket":
        return await send({"type": "websocket.close", "code": 1008})
    query = scope.get("query_string", b"")
    location = to.encode() + (b"?" + query if query else b"")
    await send({"type": "http.response.start", "status": 307, "headers": [(b"location", location)]})
    await send({"type": "http.response.body", "body": b""})
