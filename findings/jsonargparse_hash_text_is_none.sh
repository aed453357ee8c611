#!/usr/bin/env bash
# jsonargparse 4.53.0: text that begins with `#`, given for an optional string, becomes None without a word.
#
# A value of the command line is read as YAML first, where `#x.txt` is a comment and the value before it is empty: null.
# For a plain `str` the text is kept as it was typed. For `str | None` (`Optional[str]`) null is a valid value, so it is
# taken, and a program sees its default where a file name was given. A name that YAML reads as another type (`1e5`,
# `yes`) is kept as text in both.
#
# Seen 2026-11-29 with Python 3.11.7:
#   str: '#x.txt', optional str: None, optional str given 1e5: '1e5'
#
# Exits 0 while it is so, 1 when the optional string keeps its text.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check jsonargparse==4.53.0
"$folder/venv/bin/python" - <<'PYTHON'
import sys

from jsonargparse import ArgumentParser

parser = ArgumentParser()
parser.add_argument("--plain", type=str, default="")
parser.add_argument("--optional", type=str | None, default="default")
found = parser.parse_args(["--plain", "#x.txt", "--optional", "#x.txt"])
number = parser.parse_args(["--optional", "1e5"]).optional
print(f"str: {found.plain!r}, optional str: {found.optional!r}, optional str given 1e5: {number!r}")
sys.exit(not (found.plain == "#x.txt" and found.optional is None))
PYTHON
