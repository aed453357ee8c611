#!/usr/bin/env bash
# torch 2.13.0: making an optimizer imports the compiler.
#
# The first `torch.optim` optimizer of a process imports torch._dynamo and what it stands on: more than eight hundred
# modules and about a second, though nothing is compiled. `import torch` alone does not; so a program that is timed or
# traced by its imports looks quick to start and then stands still at the line that makes AdamW. A program without need
# of the compiler cannot leave it out by not calling `torch.compile`.
#
# Seen 2026-11-29 with Python 3.11.7, CPU build, AMD EPYC:
#   compiler loaded before: False, after AdamW: True; modules added: 828, seconds: 1.1
#
# Exits 0 while it is so, 1 when an optimizer is made without the compiler. Installs torch: the CPU build is 190 MB.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check torch==2.13.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import sys
import time

import torch

layer = torch.nn.Linear(2, 2)
before, modules, begin = "torch._dynamo" in sys.modules, len(sys.modules), time.perf_counter()
torch.optim.AdamW(layer.parameters())
after, seconds = "torch._dynamo" in sys.modules, time.perf_counter() - begin
added = len(sys.modules) - modules
print(f"compiler loaded before: {before}, after AdamW: {after}; modules added: {added}, seconds: {seconds:.1f}")
sys.exit((before, after) != (False, True))
PYTHON
