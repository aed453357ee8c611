#!/usr/bin/env bash
# torch 2.13.0: a compiled function is compiled anew when the number of threads changes.
#
# torch.compile guards on the process's number of threads as it guards on shapes: after `torch.set_num_threads` the next
# call traces and compiles a further graph, though nothing in the function depends on threads. Both graphs are kept, so
# going back costs nothing. A program that gives way to others by computing with fewer threads stops for a compilation
# in the middle of its work (tens of seconds with inductor for a small transformer), and again for each further number.
#
# Seen 2026-11-29 with Python 3.11.7, CPU build:
#   graphs after two threads, again, one thread, two threads: 1 1 2 2
#
# Exits 0 while it is so, 1 when one graph serves any number of threads. Installs torch: the CPU build is 190 MB.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check torch==2.13.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import torch

graphs = []


def count(graph, inputs):
    """A backend that compiles nothing and counts what it is given."""
    graphs.append(graph)
    return graph.forward


compiled = torch.compile(lambda x, y: (x * y).sum(), backend=count)
x, y = torch.ones(4), torch.ones(4)
counts = []
for threads in (2, 2, 1, 2):
    torch.set_num_threads(threads)
    compiled(x, y)
    counts.append(len(graphs))
print("graphs after two threads, again, one thread, two threads:", *counts)
sys.exit(counts != [1, 1, 2, 2])
PYTHON
