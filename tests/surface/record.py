"""Write the lists of the surface anew: `python -m tests.surface.record [NAME …]`, a minute for all of them."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path


def main(names: list[str]) -> int:
    """Make and write the named lists, all without names; 2 for a name that there is not."""
    os.environ["OMP_NUM_THREADS"] = "1"
    from tests.surface.lists import LISTS, difference, write
    from tests.tiny import keep_all_looks

    keep_all_looks()
    if unknown := set(names) - LISTS.keys():
        print(f"no list {', '.join(sorted(unknown))}: there are {', '.join(LISTS)}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LAB_CACHE_DIR"] = f"{folder}/cache"
        os.environ["PYTHONPATH"] = os.getcwd()
        os.chdir(folder)
        told = []
        for name in names or LISTS:
            lines = LISTS[name](Path(folder))
            told.append(f"{name}: {difference(name, lines) or 'as it was'}")
            write(name, lines)
    print("\n".join(told))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
