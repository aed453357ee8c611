"""What following costs: many pages open on one run, and a very long run replayed as fast as the disk gives it.

    python scripts/live_load.py --clients 50 --seconds 10 --rows 1000000

Starts a server of its own on this machine alone, over a folder that is removed again. First the clients follow a run
that logs some lines a second, and the server's processor time over that is taken; then one client reads a history of so
many lines from its start, and the server's largest memory is. Bounded in time and count by its arguments. Linux only:
the numbers come from /proc.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
import time
from pathlib import Path

from page_server import serving
from websockets.asyncio.client import connect

from lab.runs import MetricsWriter, Run, StatusWriter, create_run

LINES_A_SECOND = 20
MOST_CLIENTS, MOST_SECONDS, MOST_ROWS = 200, 120, 2_000_000
GIVE_UP_SECONDS = 150
VALUES = {"train/loss": 2.5, "train/grad_norm": 0.123456789, "train/lr": 1e-3, "perf/tokens_per_second": 31234.5}


def processor_seconds(pid: int) -> float:
    """What a process has used of all cores so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid: int, which: str) -> float:
    """Megabytes: VmRSS now, VmHWM at most."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith(which))
    return int(line.split()[1]) / 1000


async def follow(url: str, until: int) -> tuple[int, float]:
    """Rows received until the row of step `until`, and the longest time from a line being written to its arrival."""
    rows, late = 0, 0.0
    async with connect(url, max_size=None, compression=None) as socket:
        async for text in socket:
            message = json.loads(text)
            if message["type"] != "metrics":
                continue
            steps = message["columns"]["step"]
            rows += len(steps)
            written = message["columns"].get("written", [None])[-1]
            late = max(late, time.time() - written if written else 0.0)
            if steps[-1] >= until:
                return rows, late
    raise SystemExit("the server closed the connection")


async def many_clients(url: str, run: Run, pid: int, clients: int, seconds: float) -> None:
    """Clients on one run that logs; prints the server's share of a core, and how late a line arrived at worst."""
    last = int(seconds * LINES_A_SECOND)
    following = [asyncio.create_task(follow(f"{url}/ws/runs/{run.name}", last)) for _ in range(clients)]
    await asyncio.sleep(1)
    began, used = time.monotonic(), processor_seconds(pid)
    with MetricsWriter(run) as metrics:
        for step in range(last + 1):
            metrics.write(step, step, step / 10, VALUES | {"written": time.time()})
            await asyncio.sleep(max(0.0, began + step / LINES_A_SECOND - time.monotonic()))
    found = await asyncio.wait_for(asyncio.gather(*following), GIVE_UP_SECONDS)
    share = (processor_seconds(pid) - used) / (time.monotonic() - began)
    whole = sum(rows == last + 1 for rows, _ in found)
    print(f"{clients} clients, {LINES_A_SECOND} lines/s for {seconds:g} s: {share:.2f} cores of the server;")
    print(
        f"  {whole} of them got all {last + 1:,} rows, the latest {max(late for _, late in found):.2f} s after its line"
    )


async def long_history(url: str, run: Run, pid: int, rows: int) -> None:
    """A history read from its start; prints time and memory."""
    wall = time.time()
    with open(run.metrics_path, "w") as file:
        for step in range(rows):
            file.write(
                json.dumps({"step": step, "tokens": step * 64, "time": step / 10, "wall": wall, **VALUES}) + "\n"
            )
    size, before, began = run.metrics_path.stat().st_size / 1e6, memory(pid, "VmRSS"), time.monotonic()
    got, _ = await asyncio.wait_for(follow(f"{url}/ws/runs/{run.name}", rows - 1), GIVE_UP_SECONDS)
    seconds = time.monotonic() - began
    print(f"{got:,} rows ({size:.0f} MB) replayed in {seconds:.1f} s, {1e5 * seconds / rows:.2f} s for 100,000;")
    print(f"  the server's memory: {before:.0f} MB before, {memory(pid, 'VmHWM'):.0f} MB at most")


async def measure(args: argparse.Namespace) -> None:
    """Both measurements."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        busy, long = create_run(root, "busy"), create_run(root, "long")
        with serving(root) as server, StatusWriter(busy) as status:
            url, pid = server.url.replace("http", "ws"), server.process.pid
            status.update(state="running")
            await many_clients(url, busy, pid, args.clients, args.seconds)
            await long_history(url, long, pid, args.rows)


def main() -> None:
    """Parse and measure."""
    parser = argparse.ArgumentParser(description="What following a run costs the server.")
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rows", type=int, default=1_000_000)
    args = parser.parse_args()
    bounds = {"clients": MOST_CLIENTS, "seconds": MOST_SECONDS, "rows": MOST_ROWS}
    for name, most in bounds.items():
        if not 1 <= getattr(args, name) <= most:
            parser.error(f"--{name} {getattr(args, name)}: from 1 to {most}")
    asyncio.run(measure(args))


if __name__ == "__main__":
    main()
