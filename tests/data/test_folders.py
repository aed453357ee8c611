"""Which files a path stands for, what its publisher held out, and what is left out of a folder and why."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from lab.data.corpora import open_corpus
from lab.data.filecorpus import FileCorpus
from lab.data.folders import Found, find_text, left_out_line


def write(path: Path, content: bytes | str = "some text\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def write_all(root: Path, *names: str) -> Path:
    """Files of those names, each with a text of its own kind."""
    for name in names:
        content = {"jsonl": '{"text": "x"}\n', "json": '[{"text": "x"}]', "csv": "text\nx\n"}
        write(root / name, content.get(name.rsplit(".", 1)[-1], f"the text of {name}\n"))
    return root


def names(files: list[Path], root: Path) -> list[str]:
    return [file.relative_to(root).as_posix() for file in files]


class TestWhichFiles:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        for name in ("b.txt", "a.md", "sub/c.py", "sub/d.jsonl", "sub/e.jsonl.gz", "f.parquet", "UPPER.TXT"):
            write(tmp_path / name, "x")
        for name in ("picture.png", "table.csv", ".hidden.txt", ".git/config.txt", "sub/.cache/g.txt"):
            write(tmp_path / name, "x")
        return tmp_path

    def names(self, found: Found, folder: Path) -> list[str]:
        return [str(file.relative_to(folder)) for file in found.files]

    def test_folder_gives_its_texts_in_the_order_of_their_names(self, folder: Path) -> None:
        expected = ["UPPER.TXT", "a.md", "b.txt", "f.parquet", "sub/c.py", "sub/d.jsonl", "sub/e.jsonl.gz"]
        assert self.names(find_text(folder), folder) == expected
        assert self.names(find_text(str(folder)), folder) == expected

    def test_glob_takes_any_ending(self, folder: Path) -> None:
        assert self.names(find_text(f"{folder}/*.csv"), folder) == ["table.csv"]
        assert self.names(find_text(f"{folder}/**/*.py"), folder) == ["sub/c.py"]

    def test_list_keeps_its_order_and_takes_a_file_once(self, folder: Path) -> None:
        files = find_text([folder / "b.txt", f"{folder}/*.md", str(folder / "b.txt"), folder / "sub" / ".." / "b.txt"])
        assert self.names(files, folder) == ["b.txt", "a.md"]

    def test_file_with_glob_characters_in_its_name_is_itself(self, tmp_path: Path) -> None:
        file = write(tmp_path / "notes [draft].txt", "x")
        assert find_text(file).files == [file]

    def test_home_is_expanded(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))
        write(tmp_path / "mine.txt", "x")
        assert find_text("~/mine.txt").files == [tmp_path / "mine.txt"]

    def test_every_problem_is_told_at_once(self, folder: Path) -> None:
        write(folder / "images" / "a.png", "x")
        os.mkfifo(folder / "pipe")
        asked = [
            folder / "b.text",
            f"{folder}/*.doc",
            folder / "images",
            folder / "pipe",
            folder / ("n" * 300),
        ]
        with pytest.raises(ValueError, match="does not exist") as error:
            find_text(asked)
        lines = str(error.value).splitlines()
        assert len(lines) == 5
        assert f"{folder / 'b.text'} does not exist; did you mean {folder / 'b.txt'}?" in lines[0]
        assert "no file matches" in lines[1]
        assert ".txt" in lines[2]
        assert "1 with the ending .png (a.png)" in lines[2]
        assert "no regular file" in lines[3]
        assert "nnn" in lines[4]

    def test_nothing_asked_for(self) -> None:
        with pytest.raises(ValueError, match=r"data\.path is empty"):
            find_text([])


class TestLeftOut:
    def test_each_with_its_reason(self, tmp_path: Path) -> None:
        root = tmp_path / "texts"
        write_all(root, "book.txt", "sub/note.md", "posts.jsonl", "list.json", "table.csv")
        write_all(
            root, "a.png", "b.png", "Makefile", "archive.tar.gz", "ids.bin", "ids.npy", ".hidden.txt", ".git/x.txt"
        )
        write(root / "empty.txt", b"")
        write(root / "latin.txt", "café".encode("latin-1"))
        write(root / "binary.txt", b"abc\0def")
        write(root / "package.json", '{"name": "x"}')
        write(root / "numbers.csv", "a,b\n1,2\n")
        write(tmp_path / "elsewhere" / "other.txt")
        (root / "linked").symlink_to(tmp_path / "elsewhere")
        (root / "dead.txt").symlink_to("/nowhere")
        (root / "again.txt").symlink_to(root / "sub" / "note.md")
        os.mkfifo(root / "pipe.txt")
        found = find_text(root)
        assert names(found.files, root) == ["again.txt", "book.txt", "list.json", "posts.jsonl", "table.csv"]
        assert {reason: sorted(files) for reason, files in found.left_out.items()} == {
            "with the ending .png": ["a.png", "b.png"],
            "with the ending .tar.gz": ["archive.tar.gz"],
            "without an ending": ["Makefile"],
            "of token ids (data.corpus: tokens reads them)": ["ids.bin", "ids.npy"],
            "hidden": [".git/", ".hidden.txt"],
            "empty": ["empty.txt"],
            "not UTF-8": ["latin.txt"],
            "binary": ["binary.txt"],
            "with the ending .json and no text under 'text'": ["package.json"],
            "with the ending .csv and no text under 'text'": ["numbers.csv"],
            "a link to a folder": ["linked/"],
            "a link to nothing": ["dead.txt"],
            "no regular file": ["pipe.txt"],
            "the same file once more": ["sub/note.md"],
        }

    def test_packed_files_of_every_kind_are_read(self, tmp_path: Path) -> None:
        for name in ("a.jsonl", "b.jsonl.zst", "c.txt.gz", "d.csv.xz", "e.md.bz2", "f.JSONL.GZ"):
            write(tmp_path / name)
        assert names(find_text(tmp_path).files, tmp_path) == [
            *("a.jsonl", "b.jsonl.zst", "c.txt.gz", "d.csv.xz", "e.md.bz2", "f.JSONL.GZ")
        ]

    def test_other_encodings_by_their_mark_are_text(self, tmp_path: Path) -> None:
        write(tmp_path / "a.txt", "größer".encode("utf-16"))
        assert find_text(tmp_path).left_out == {}

    def test_a_folder_of_nothing_but_what_is_left_out(self, tmp_path: Path) -> None:
        write(tmp_path / "a.txt", b"caf\xe9")
        write(tmp_path / "b.png")
        with pytest.raises(
            ValueError, match=r"no text in .*1 with the ending \.png \(b\.png\).*1 not UTF-8 \(a\.txt\)"
        ):
            find_text(tmp_path)

    def test_a_folder_of_empty_files_or_token_ids(self, tmp_path: Path) -> None:
        write(tmp_path / "empty" / "a.txt", b"")
        write(tmp_path / "ids" / "train.bin", b"x")
        with pytest.raises(ValueError, match=r"no text in the folder .*it holds 1 empty \(a\.txt\)"):
            find_text(tmp_path / "empty")
        with pytest.raises(ValueError, match=r"it holds 1 of token ids \(data\.corpus: tokens reads them\)"):
            find_text(tmp_path / "ids")

    def test_what_is_named_outright_is_taken(self, tmp_path: Path) -> None:
        files = [write(tmp_path / name, b"caf\xe9") for name in ("a.txt", ".hidden.txt", "c.c")]
        assert find_text(list(map(str, files))).files == files
        assert find_text(f"{tmp_path}/*.c").files == [files[2]]

    def test_said_in_one_line_and_in_the_facts(self, tmp_path: Path) -> None:
        write_all(tmp_path, "book.txt", *(f"{i}.png" for i in range(1200)), "x.pdf")
        facts = open_corpus("text", str(tmp_path)).describe()["left_out"]
        assert json.loads(json.dumps(facts)) == facts
        line = left_out_line(facts)
        assert line.startswith("1,200 with the ending .png (0.png, 1.png, 10.png, …); 1 with the ending .pdf (x.pdf)")
        assert "\n" not in line
        assert left_out_line([{"count": 2, "reason": str(i), "names": []} for i in range(11)]).endswith("; 6 more")


class TestPublished:
    def test_a_folder_of_the_hub(self, tmp_path: Path) -> None:
        shards = [f"data/train-0000{i}-of-00002.jsonl" for i in range(2)]
        write_all(tmp_path, "README.md", "LICENSE", ".gitattributes", *shards)
        write_all(tmp_path, "data/validation-00000-of-00001.jsonl", "data/test-00000-of-00001.jsonl")
        found = find_text(tmp_path)
        assert names(found.files, tmp_path) == shards
        assert names(found.val_files, tmp_path) == ["data/validation-00000-of-00001.jsonl"]
        assert found.left_out["the dataset card"] == ["README.md"]
        assert found.left_out["of the test split, left alone"] == ["test-00000-of-00001.jsonl"]
        assert found.left_out["hidden"] == [".gitattributes"]
        assert found.left_out["without an ending"] == ["LICENSE"]

    def test_a_folder_named_from_where_one_stands(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        write_all(tmp_path / "set", *(f"data/{split}-0.jsonl" for split in ("train", "validation", "test")), "notes.md")
        monkeypatch.chdir(tmp_path)
        found, same = find_text("set"), find_text(tmp_path / "set")
        assert found.left_out == same.left_out
        assert [file.absolute() for file in found.val_files] == same.val_files

    def test_a_corpus_keeps_it(self, tmp_path: Path) -> None:
        for split, n in (("train", 40), ("validation", 2), ("test", 3)):
            lines = (json.dumps({"text": f"{split} {i}"}) for i in range(n))
            write(tmp_path / f"{split}.jsonl", "\n".join(lines))
        corpus = open_corpus("text", str(tmp_path), val_fraction=0.5)
        assert isinstance(corpus, FileCorpus)
        assert list(corpus.documents("val")) == ["validation 0", "validation 1"]
        assert list(corpus.documents("train")) == [f"train {i}" for i in range(40)]
        assert "published" in corpus.describe()["split"]
        mixed = open_corpus("text", str(tmp_path), val_fraction=0.5, as_published=False)
        assert len([*mixed.documents("train"), *mixed.documents("val")]) == 45
        with pytest.raises(ValueError, match=r"as_published is 'no'"):
            open_corpus("text", str(tmp_path), as_published="no")

    def test_a_card_beside_data_of_one_split(self, tmp_path: Path) -> None:
        write_all(tmp_path, "README.md", "data/train-00000-of-00001.jsonl")
        found = find_text(tmp_path)
        assert names(found.files, tmp_path) == ["data/train-00000-of-00001.jsonl"]
        assert found.left_out == {"the dataset card": ["README.md"]}

    def test_a_readme_among_notes_or_settings_is_text(self, tmp_path: Path) -> None:
        write_all(tmp_path, "README.md", "a.md", "b.txt")
        write(tmp_path / "package.json", "{}")
        assert names(find_text(tmp_path).files, tmp_path) == ["README.md", "a.md", "b.txt"]


class TestSavedToDisk:
    """What `Dataset.save_to_disk` and `DatasetDict.save_to_disk` write."""

    def save(self, folder: Path, texts: list[str]) -> None:
        pyarrow = pytest.importorskip("pyarrow")
        from pyarrow import ipc

        folder.mkdir(parents=True, exist_ok=True)
        table = pyarrow.table({"text": texts})
        for name in ("data-00000-of-00001.arrow", "cache-1b5ad5db4d6a8c5f.arrow"):
            with pyarrow.OSFile(str(folder / name), "wb") as out, ipc.new_stream(out, table.schema) as to:
                to.write_table(table)
        write(folder / "state.json", json.dumps({"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}))
        write(folder / "dataset_info.json", json.dumps({"features": {"text": {"dtype": "string"}}}))

    def test_a_dataset_beside_other_text(self, tmp_path: Path) -> None:
        self.save(tmp_path, ["x", "y"])
        write(tmp_path / "more.jsonl", '{"text": "z"}')
        found = find_text(tmp_path)
        assert names(found.files, tmp_path) == ["data-00000-of-00001.arrow", "more.jsonl"]
        assert found.left_out == {
            "describing the data": ["dataset_info.json", "state.json"],
            "cached by datasets, not in state.json": ["cache-1b5ad5db4d6a8c5f.arrow"],
        }

    def test_a_part_that_is_not_there(self, tmp_path: Path) -> None:
        self.save(tmp_path, ["x", "y"])
        parts = [{"filename": f"data-0000{i}-of-00003.arrow"} for i in range(3)]
        write(tmp_path / "state.json", json.dumps({"_data_files": parts}))
        with pytest.raises(
            ValueError, match=r"has no data-00000-of-00003\.arrow and 2 more, which its state\.json names"
        ):
            find_text(tmp_path)

    def test_a_dictionary_of_splits(self, tmp_path: Path) -> None:
        for split in ("train", "validation", "test"):
            self.save(tmp_path / split, [f"{split} {i}" for i in range(3)])
        write(tmp_path / "dataset_dict.json", '{"splits": ["train", "validation", "test"]}')
        corpus = open_corpus("text", str(tmp_path))
        assert isinstance(corpus, FileCorpus)
        assert list(corpus.documents("train")) == ["train 0", "train 1", "train 2"]
        assert list(corpus.documents("val")) == ["validation 0", "validation 1", "validation 2"]


@pytest.mark.parametrize("name", ["page.html", "feed.xml", "old.rtf.gz"])
def test_markup_that_is_learned_is_told(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / name).write_text("<p>text</p>")
    assert find_text(tmp_path / name).files == [tmp_path / name]
    assert "its markup is learned with its text" in capsys.readouterr().err
