"""Published splits by the names of files: layouts as they are on the hub, and what only looks like one."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.data.folders import find_text
from tests.data.test_folders import names, write, write_all


@pytest.mark.parametrize(
    ("train", "val", "others"),
    [
        (["train.txt"], ["valid.txt"], ["test.txt"]),
        (["wiki.train.txt"], ["wiki.valid.txt"], ["wiki.test.txt"]),
        (["TinyStoriesV2-GPT4-train.txt"], ["TinyStoriesV2-GPT4-valid.txt"], []),
        (["train.csv"], ["test.csv"], []),
        (["train/00.jsonl.zst", "train/01.jsonl.zst"], ["val.jsonl.zst"], ["test.jsonl.zst"]),
        (["en/c4-train.00000-of-01024.json.gz"], ["en/c4-validation.00000-of-00008.json.gz"], []),
        (["train/chunk1/example_train_0.jsonl.zst"], ["validation/chunk1/example_holdout_0.jsonl.zst"], []),
        (["train/neg/0_3.txt", "train/pos/7_9.txt"], ["test/neg/1_3.txt", "test/pos/2_9.txt"], []),
        (["de/train-0.parquet", "en/train-0.parquet"], ["de/dev-0.parquet", "en/dev-0.parquet"], []),
        (
            ["train-00-of-04-2d5a1467fff1081b.parquet"],
            ["validation-00-of-01-869c898b519ad725.parquet"],
            [],
        ),
        (["Training.jsonl"], ["Dev.jsonl"], ["unsupervised.jsonl"]),
    ],
)
def test_layouts_of_published_text(tmp_path: Path, train: list[str], val: list[str], others: list[str]) -> None:
    root = tmp_path / "train"  # the folder asked for says nothing
    for name in [*train, *val, *others]:
        write(root / name, b"text\nx\n")
    for asked in (root, f"{root}/**/*.*"):
        found = find_text(asked)
        assert (names(found.files, root), names(found.val_files, root)) == (sorted(train), sorted(val))
        assert sum(map(len, found.left_out.values())) == len(others)
    found = find_text(root, as_published=False)
    assert (sorted(names(found.files, root)), found.val_files) == (sorted([*train, *val, *others]), [])


@pytest.mark.parametrize(
    "there",
    [
        ["train.py", "test.py", "train_gpt2.c", "test_gpt2.c"],
        ["src/train.py", "tests/test_train.py", "README.md"],
        ["train journey.txt", "test results.txt", "book.txt"],
        ["train-0.jsonl", "train-1.jsonl"],
        ["valid.txt", "test.txt"],
        ["train_test_split.jsonl", "book.jsonl"],
        ["constrain.jsonl", "contest.jsonl"],
        ["training/a.txt", "notes.txt"],
    ],
)
def test_what_is_no_published_split(tmp_path: Path, there: list[str]) -> None:
    found = find_text(f"{write_all(tmp_path, *there)}/**/*.*")
    assert sorted(names(found.files, tmp_path)) == sorted(there)
    assert found.val_files == []
