#!/usr/bin/env bash
# tensorboard 2.20.0: installs beside the newest setuptools and then does not start.
#
# It asks for setuptools 41 or newer and imports that package's `pkg_resources`, which current setuptools no longer
# holds. pip and uv report a complete environment; `python -m tensorboard.main` ends with ModuleNotFoundError. Writing
# event files (`torch.utils.tensorboard`) goes on, so a training does not show it. 2.21.0 needs setuptools no more.
#
# Seen 2026-11-29 with Python 3.11.7 and setuptools 84.2.1:
#   pip check: No broken requirements found.
#   2.20.0: ModuleNotFoundError: No module named 'pkg_resources'
#   2.21.0: 2.21.0
#
# Exits 0 while it is so, 1 when 2.20.0 starts or 2.21.0 does not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
install() { "$folder/venv/bin/pip" install -q --disable-pip-version-check "$@"; }
start() { "$folder/venv/bin/python" -m tensorboard.main --version 2>/dev/null | tail -1; }
install tensorboard==2.20.0 setuptools==84.2.1
echo "pip check: $("$folder/venv/bin/pip" --disable-pip-version-check check)"
echo "2.20.0: $("$folder/venv/bin/python" -m tensorboard.main --version 2>&1 | tail -1)"
old=$(start || true)
install tensorboard==2.21.0
new=$(start || true)
echo "2.21.0: $new"
[[ -z $old && $new == 2.21.0 ]]
