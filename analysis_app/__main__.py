"""`python -m analysis_app`: serve the analysis page."""

from __future__ import annotations

import argparse
import errno
import logging
import os
import re
import sys
from pathlib import Path

from lab.checks import missing_extra
from lab.data.cache import cache_root
from lab.environment import run_program, without_proxies
from lab.neighbours import Others
from lab.waiting import watch_neighbours
from lab.waiting_trial import prepare

PASSWORD_VARIABLE = "LAB_APP_PASSWORD"
HOST_NAME = re.compile(r"[\w.-]+|\[[0-9a-fA-F:]+\]")
ROOT_PATH = re.compile(r"(/[\w.~-]+)+/?|/")


def main(argv: list[str] | None = None) -> int:
    """Serve until Ctrl-C; 2 after a mistake in the arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m analysis_app", description="Look inside any checkpoint of any run, in the browser."
    )
    parser.add_argument("--runs", default="runs", help="folder that holds the runs (default: runs)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine alone)")
    parser.add_argument("--port", type=int, default=7861, help="0 takes a free one (default: 7861)")
    parser.add_argument(
        "--password",
        default=os.environ.get(PASSWORD_VARIABLE),
        help=f"required by every route; needed for any other --host (default: ${PASSWORD_VARIABLE})",
    )
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="name under which a proxy offers the page, as in the browser's address bar; may be given several times;"
        " needs a --password",
    )
    parser.add_argument(
        "--root-path", default="", metavar="/PATH", help="path under which a proxy offers the page, and passes it on"
    )
    args = parser.parse_args(argv)
    prepare(cache_root())
    if problem := _problem(args):
        print(f"error: {problem}", file=sys.stderr)
        return 2
    return _serve(args)


def _problem(args: argparse.Namespace) -> str | None:
    if missing := missing_extra("page", "gradio", "fastapi", "uvicorn", "websockets", "pydantic"):
        return f"the page needs more than the core: {missing}"
    from analysis_app.server.guard import LOOPBACK

    if args.password == "":
        return "--password is empty: choose one, or leave it out"
    if args.host not in LOOPBACK and args.password is None:
        return f"--host {args.host} lets others in: choose a --password too"
    if args.allow_host and args.password is None:
        return f"--allow-host {args.allow_host[0]} lets others in: choose a --password too"
    for name in args.allow_host:
        if not HOST_NAME.fullmatch(name):
            return f"--allow-host {name} is no name of a host: give the name alone, such as lab.example.org"
    if args.root_path and not ROOT_PATH.fullmatch(args.root_path):
        return f"--root-path {args.root_path} is no path: give one such as /lab"
    if not 0 <= args.port <= 65535:
        return f"--port {args.port}: must lie between 0 and 65535"
    if Path(args.runs).exists() and not Path(args.runs).is_dir():
        return f"--runs {args.runs} is a file: name the folder that holds the runs"
    return None


def _serve(args: argparse.Namespace) -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for chatty in ("httpx", "matplotlib", "asyncio"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    import uvicorn

    with without_proxies():  # the page asks nothing of the network; Gradio refuses a SOCKS proxy when imported
        from analysis_app.server.app import create_app

    watch_neighbours(Others(low_priority=True))
    app = create_app(args.runs, args.password, args.allow_host, args.root_path)
    config = uvicorn.Config(
        app,
        host=args.host,
        port=args.port,
        log_level="warning",
        ws_per_message_deflate=False,  # between two programs of one machine it only costs time
        ws_max_size=1 << 16,  # clients send nothing this way
    )
    server = uvicorn.Server(config)
    try:
        socket = config.bind_socket()
    except SystemExit as error:
        print(f"error: {_why_not_bound(args, error.__context__)}", file=sys.stderr)
        return 2
    socket.listen(128)  # a request right after the address is printed waits, and is not refused
    host = f"[{args.host}]" if ":" in args.host else args.host
    print(f"The analysis page is at http://{host}:{socket.getsockname()[1]}/  (Ctrl-C ends it)", flush=True)
    server.run(sockets=[socket])
    return 0


def _why_not_bound(args: argparse.Namespace, error: BaseException | None) -> str:
    number = error.errno if isinstance(error, OSError) else None
    if number in (errno.EACCES, errno.EPERM):
        return (
            f"--port {args.port}: this user may not listen there (ports below 1024 are the administrator's): choose"
            " another, such as 7861, or put a proxy before the page"
        )
    if number == errno.EADDRINUSE:
        return f"--port {args.port} is taken: choose another, or 0 for a free one"
    return f"--host {args.host}: {getattr(error, 'strerror', None) or error}; give an address of this machine"


if __name__ == "__main__":
    run_program(main)
