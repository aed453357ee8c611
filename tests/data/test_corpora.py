"""Opening a corpus by name: each one there is, and every wrong setting told at once."""

from __future__ import annotations

import json
import re
import socket
import sysconfig
from pathlib import Path

import pytest

from lab.data import corpora
from lab.data.corpora import CORPORA, corpus_problems, open_corpus, standard_library
from lab.data.download import RemoteFile
from lab.data.filecorpus import FileCorpus
from lab.data.remote_corpora import REMOTE_CORPORA, RemoteCorpus
from lab.data.synthetic import SYNTHETIC


class TestPython:
    def test_it_is_source_of_the_standard_library(self) -> None:
        made = open_corpus("python")
        assert isinstance(made, FileCorpus)
        texts = {split: list(made.documents(split)) for split in ("train", "val")}  # type: ignore[arg-type]
        sizes = {split: sum(len(text.encode()) for text in side) for split, side in texts.items()}
        assert made.has_documents
        assert sum(sizes.values()) > 4_000_000
        assert 0.09 < sizes["val"] / sum(sizes.values()) < 0.11
        assert not set(texts["train"]) & set(texts["val"])
        together = "".join(texts["train"] + texts["val"])
        assert "class JSONDecoder" in together
        assert "def heappush" in together
        facts = json.loads(json.dumps(made.describe()))
        assert facts["source"].startswith("standard library of Python 3.")
        assert facts["unreadable_files"] < 5

    def test_tests_packages_and_tables_are_left_out(self) -> None:
        root = Path(sysconfig.get_path("stdlib"))
        names = {file.relative_to(root).as_posix() for file in standard_library()[0]}
        assert {"heapq.py", "json/decoder.py", "asyncio/locks.py"} <= names
        forbidden = re.compile(r"(^|/)(tests?|site-packages|idlelib|encodings|pydoc_data)/|_sysconfigdata")
        assert not [name for name in names if forbidden.search(name)]

    def test_what_is_held_out_has_not_been_learned(self) -> None:
        """Runs of 8 words that training has seen too: licences and idioms, never most of a file."""
        made = open_corpus("python")
        assert isinstance(made, FileCorpus)

        def runs(text: str) -> set[int]:
            words = re.findall(r"\w+|[^\w\s]", text)
            return {hash(tuple(words[i : i + 8])) for i in range(len(words) - 7)}

        seen: set[int] = set()
        for text in made.documents("train"):
            seen |= runs(text)
        held_out = [runs(text) for text in made.documents("val")]
        known = sum(len(r & seen) for r in held_out)
        assert known / sum(map(len, held_out)) < 0.15
        assert max(len(r & seen) / len(r) for r in held_out if len(r) > 500) < 0.75

    def test_undecodable_files_are_passed_over_and_counted(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "json").mkdir()
        (tmp_path / "test").mkdir()
        (tmp_path / "b.py").write_text("b = 1\n")
        (tmp_path / "json" / "a.py").write_text("a = 1\n")
        (tmp_path / "test" / "c.py").write_text("c = 1\n")
        (tmp_path / "latin.py").write_bytes(b"# caf\xe9\n")
        monkeypatch.setattr(sysconfig, "get_path", lambda _: str(tmp_path))
        files, facts = standard_library()
        assert [str(f.relative_to(tmp_path)) for f in files] == ["b.py", "json/a.py"]
        assert facts["unreadable_files"] == 1
        made = open_corpus("python")
        assert isinstance(made, FileCorpus)
        together = "".join([*made.documents("train"), *made.documents("val")])
        assert sorted(together) == sorted("a = 1\nb = 1\n")

    def test_python_without_source(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sysconfig, "get_path", lambda _: str(tmp_path / "python311.zip"))
        with pytest.raises(ValueError, match=r"came without the source.*python311\.zip.*--data\.corpus text"):
            open_corpus("python")


class TestText:
    def test_a_folder(self, tmp_path: Path) -> None:
        for i in range(20):
            (tmp_path / f"{i:02}.md").write_text(f"# Note {i}\n")
        made = open_corpus("text", str(tmp_path), val_fraction=0.3, seed=5)
        assert isinstance(made, FileCorpus)
        train, val = list(made.documents("train")), list(made.documents("val"))
        assert len(train) + len(val) == 20
        assert made.describe()["path"] == [str(tmp_path)]

    def test_options_reach_the_reader(self, tmp_path: Path) -> None:
        (tmp_path / "a.jsonl").write_text("".join(json.dumps({"body": f"text {i}"}) + "\n" for i in range(50)))
        made = open_corpus("text", tmp_path / "a.jsonl", text_key="body", max_documents=10)
        assert isinstance(made, FileCorpus)
        assert len([*made.documents("train"), *made.documents("val")]) == 10

    def test_no_such_path(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="does not exist"):
            open_corpus("text", tmp_path / "missing.txt")


class TestShakespeare:
    def test_split_to_the_character(self, shakespeare: Path) -> None:
        made = open_corpus("shakespeare")
        assert isinstance(made, FileCorpus)
        text = shakespeare.read_text()
        n = int(len(text) * 0.9)
        assert "".join(made.documents("train")) == text[:n]
        assert "".join(made.documents("val")) == text[n:]
        assert (n, len(text) - n) == (1_003_854, 111_540)  # nanoGPT's README
        assert not made.has_documents
        assert made.describe()["licence"] == "public domain"

    def test_no_network(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def unreachable(*_: object, **__: object) -> None:
            raise socket.gaierror(-3, "Temporary failure in name resolution")

        monkeypatch.setattr(socket, "getaddrinfo", unreachable)
        for proxy in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.delenv(proxy, raising=False)
        with pytest.raises(ValueError, match="cannot download https://raw") as error:
            open_corpus("shakespeare", data_dir=tmp_path)
        message = str(error.value)
        assert "\n" not in message
        assert "Temporary failure in name resolution" in message
        assert str(tmp_path / "tinyshakespeare.txt") in message
        assert "--data.corpus python" in message


class TestPublished:
    @pytest.fixture
    def put(self, tmp_path: Path) -> Path:
        """A data folder with small stand-ins for TinyStories and FineWeb-Edu, put there by hand."""
        pyarrow = pytest.importorskip("pyarrow")
        parquet = pytest.importorskip("pyarrow.parquet")
        for name in ("tinystories", "fineweb-edu"):
            published = REMOTE_CORPORA[name]
            for i, remote in enumerate((*published.files[:2], *published.val)):
                file = tmp_path / remote.name
                file.parent.mkdir(exist_ok=True)
                parquet.write_table(pyarrow.table({"text": [f"{name} {i}.{j}" for j in range(50)]}), file)
        return tmp_path

    @pytest.fixture
    def unchecked(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The stand-ins are not the published files: forget what those hash to."""

        def forget(remotes: tuple[RemoteFile, ...]) -> tuple[RemoteFile, ...]:
            return tuple(RemoteFile(r.name, r.url) for r in remotes)

        for name, p in REMOTE_CORPORA.items():
            plain = RemoteCorpus(forget(p.files), p.source, p.licence, p.url, forget(p.val))
            monkeypatch.setitem(corpora.REMOTE_CORPORA, name, plain)

    @pytest.mark.usefixtures("unchecked")
    def test_tinystories_has_a_split_of_its_own(self, put: Path) -> None:
        made = open_corpus("tinystories", data_dir=put, shards=2)
        assert isinstance(made, FileCorpus)
        assert [t.split()[1].split(".")[0] for t in made.documents("train")] == ["0"] * 50 + ["1"] * 50
        assert {t.split()[1].split(".")[0] for t in made.documents("val")} == {"2"}
        assert made.has_documents

    @pytest.mark.usefixtures("unchecked")
    def test_fineweb_edu_is_split_here(self, put: Path) -> None:
        made = open_corpus("fineweb-edu", data_dir=put, val_fraction=0.2)
        assert isinstance(made, FileCorpus)
        train, val = list(made.documents("train")), list(made.documents("val"))
        assert len(train) + len(val) == 50
        assert 2 <= len(val) <= 20

    def test_other_content_is_refused(self, put: Path) -> None:
        with pytest.raises(ValueError, match="is not the published file"):
            open_corpus("tinystories", data_dir=put)

    def test_pyarrow_is_asked_for_before_gigabytes_come(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        import sys

        monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
        with pytest.raises(ValueError, match=r"'tinystories' needs pyarrow: pip install 'pretraining-lab\[parquet\]'"):
            open_corpus("tinystories", data_dir=tmp_path)

    def test_addresses_are_whole(self) -> None:
        remotes = [remote for p in REMOTE_CORPORA.values() for remote in (*p.files, *p.val)]
        assert len({remote.name for remote in remotes}) == len(remotes) == 20
        for remote in remotes:
            assert re.fullmatch(r"https://[a-z.]+/[\w./-]+\.(txt|parquet)", remote.url)
            assert remote.sha256 is None or re.fullmatch("[0-9a-f]{64}", remote.sha256)


class TestSettings:
    def test_made_corpora_take_their_own(self) -> None:
        made = open_corpus("markov", seed=3, order=2, symbols=8)
        assert made.describe()["order"] == 2
        assert made.describe()["seed"] == 3
        assert open_corpus("arithmetic", val_fraction=0.25).describe()["val_fraction"] == 0.25

    def test_every_corpus_is_described_and_can_be_asked_for(self) -> None:
        assert set(CORPORA) == {"python", "text", "tokens", *REMOTE_CORPORA, *SYNTHETIC}
        for name in CORPORA:
            path = "x.txt" if name in ("text", "tokens") else None
            assert corpus_problems(name, path, 0.1, {}) == []

    def test_a_misspelt_name(self) -> None:
        with pytest.raises(ValueError, match=r"data\.corpus is 'shakespear': did you mean 'shakespeare'\?"):
            open_corpus("shakespear")
        with pytest.raises(ValueError, match=r"data\.corpus is 'wombat': there are python, text,"):
            open_corpus("wombat")

    def test_all_problems_at_once(self) -> None:
        with pytest.raises(ValueError, match=r"data\.path") as error:
            open_corpus("tinystories", "mine.txt", val_fraction=1.5, shards=5, max_bytes=1e6, text_key="body")
        lines = str(error.value).splitlines()
        assert len(lines) == 5
        assert "set data.corpus to text" in lines[0]
        assert "data.val_fraction is 1.5" in lines[1]
        assert "shards is 5: it must be a whole number from 1 to 4" in lines[2]
        assert "max_bytes is 1000000.0: it must be a whole number of at least 1" in lines[3]
        assert "text_key: the corpus 'tinystories' understands shards, max_documents, max_bytes" in lines[4]

    def test_wrong_settings_of_a_made_corpus(self) -> None:
        problems = corpus_problems("markov", None, 0.1, {"order": 0, "symbols": 1})
        assert [line.split("': ")[1].split(" is ")[0] for line in problems] == ["order", "symbols"]
        assert "did you mean 'order'?" in corpus_problems("markov", None, 0.1, {"ordr": 1})[0]
        with pytest.raises(ValueError, match="order is 0"):
            open_corpus("markov", order=0)

    def test_text_without_a_path(self) -> None:
        with pytest.raises(ValueError, match=r"data\.corpus is 'text', and data\.path is not set"):
            open_corpus("text")
