#!/usr/bin/env bash
# datasets 5.2.0, pyarrow 26.0.1; CPython 3.11; seen 2026-11-28.
#
# `Dataset.map` on a data set that came from `load_from_disk` writes its result into the folder of the data set itself,
# as cache-<fingerprint>.arrow: same ending, same format (an Arrow stream), same rows once more. `load_from_disk` goes by
# state.json and does not see it, but every reader of *.arrow finds all rows twice:
# `load_dataset("arrow", data_files="saved/*.arrow")` gives twice as many. One has to read `_data_files` in state.json.
#
# Output seen:
#   files: cache-….arrow data-00000-of-00001.arrow dataset_info.json state.json
#   load_from_disk: 100 rows; load_dataset('arrow', data_files='saved/*.arrow'): 200 rows
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet datasets==5.2.0 pyarrow==26.0.1
cd "$work"
HF_HUB_OFFLINE=1 HF_HOME="$work/home" "$work/venv/bin/python" - <<'PY'
import os
import re

import datasets

datasets.disable_progress_bars()
datasets.Dataset.from_dict({"text": [f"text {i}" for i in range(100)]}).save_to_disk("saved")
datasets.load_from_disk("saved").map(lambda row: {"text": row["text"].upper()})
names = sorted(os.listdir("saved"))
print("files:", *(re.sub(r"cache-\w+", "cache-…", name) for name in names))
assert any(name.startswith("cache-") and name.endswith(".arrow") for name in names), names

again = len(datasets.load_from_disk("saved"))
read = len(datasets.load_dataset("arrow", data_files="saved/*.arrow", split="train"))
print(f"load_from_disk: {again} rows; load_dataset('arrow', data_files='saved/*.arrow'): {read} rows")
assert (again, read) == (100, 200), (again, read)
PY
