"""How long the set-up takes and how large it is: by uv and by pip, in turns, each in a copy with empty caches.

    python scripts/setup_speed.py [--rounds 2]

What is downloaded is counted at the network's interfaces (Linux): leave other downloads for later.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import tempfile
import time
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parents[1]
SET_UP = ["sh", "-c", ". scripts/_venv.sh && set_up project", "scripts/quickstart"]


def received() -> float:
    """MB that came over all networks but the machine's own, since it was started."""
    lines = Path("/proc/net/dev").read_text().splitlines()[2:]
    return sum(int(line.split(":")[1].split()[0]) for line in lines if not line.strip().startswith("lo:")) / 1e6


def processor() -> float:
    """Processor seconds of the programs that this one has waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def megabytes(folder: Path) -> float:
    """What the files under a folder take on the disk, those that are linked once."""
    files = {(s.st_dev, s.st_ino): s.st_blocks for p in folder.rglob("*") if (s := p.lstat())}
    return sum(files.values()) * 512 / 1e6


def set_up(installer: str, folder: Path) -> dict[str, float]:
    """Set up the project in `folder`: seconds until the plan stood and of all, processor seconds, MB."""
    caches = {"UV_CACHE_DIR": str(folder / "uv"), "PIP_CACHE_DIR": str(folder / "pip"), "LAB_INSTALLER": installer}
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        (folder / "project" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / "project" / name)
    before, worked, start, planned = received(), processor(), time.perf_counter(), 0.0
    process = subprocess.Popen(
        SET_UP, cwd=folder / "project", env=os.environ | caches, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr
    for line in process.stderr:
        print(f"  {time.perf_counter() - start:5.1f} s  {line.rstrip()}")
        if line.startswith("installing"):
            planned = time.perf_counter() - start
    if process.wait():
        raise SystemExit("the set-up failed")
    took = time.perf_counter() - start
    return {
        "until the plan": planned,
        "all": took,
        "processor": processor() - worked,
        "MB downloaded": received() - before,
        "MB in .venv": megabytes(folder / "project/.venv"),
    }


def largest(packages: Path, n: int = 8) -> list[tuple[str, float]]:
    """The packages of an environment that take most room, in MB."""
    sizes = {
        found.name: sum(
            path.stat().st_size for file in found.files or [] if (path := Path(str(file.locate()))).exists()
        )
        for found in metadata.distributions(path=[str(packages)])
    }
    return [(name, size / 1e6) for name, size in sorted(sizes.items(), key=lambda item: -item[1])[:n]]


def main() -> None:
    """Set up by turns, and print what each took and how they compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2)
    taken: dict[str, list[dict[str, float]]] = {"uv": [], "pip": []}
    for _ in range(parser.parse_args().rounds):
        for installer, results in taken.items():
            with tempfile.TemporaryDirectory(prefix="lab-setup-") as name:
                print(installer)
                results.append(set_up(installer, Path(name)))
                if installer == "uv" and len(results) == 1:
                    packages = next(Path(name).glob("project/.venv/lib/python*/site-packages"))
                    print("  largest, MB:", ", ".join(f"{n} {size:.0f}" for n, size in largest(packages)))
    for installer, results in taken.items():
        print(installer, {key: [round(one[key], 1) for one in results] for key in results[0]})
    for key in ("all", "processor"):
        ratios = [pip[key] / uv[key] for uv, pip in zip(taken["uv"], taken["pip"], strict=True)]
        print(f"pip : uv, {key}: {statistics.median(ratios):.1f}")


if __name__ == "__main__":
    main()
