"""Record the golden losses of this machine: `python -m tests.golden.record [--replace]`, one thread, half a minute.

Only for a machine without a file, or after a change that is meant to change losses: then say so in LOG.md.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path


def main() -> int:
    """Fit all runs and write the file of this machine's key; 1 where there is one already."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replace", action="store_true", help="write over the losses recorded on such a machine")
    args = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    from tests.golden import runs

    file = runs.LOSSES / f"{runs.key()}.json"
    if file.exists() and not args.replace:
        print(f"{file} exists: --replace writes it anew", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LAB_CACHE_DIR"] = f"{folder}/cache"
        found = {name: runs.fit(name, Path(folder)) for name in runs.possible()}
    file.write_text(json.dumps(found, indent=1) + "\n")
    print(f"wrote {file}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
