"""Corpora by download: fixed files over HTTPS, under a licence."""

from __future__ import annotations

from lab.data.remote_corpora import REMOTE_CORPORA


def test_every_corpus_says_where_it_comes_from_and_under_which_licence() -> None:
    for name, corpus in REMOTE_CORPORA.items():
        assert corpus.files, name
        assert all(corpus.facts.values()), name
        for file in (*corpus.files, *corpus.val):
            assert file.url.startswith("https://"), file.url
            assert file.sha256 is None or len(file.sha256) == 64, file.name
        assert corpus.parquet == corpus.files[0].name.endswith(".parquet")


def test_no_two_files_have_one_name() -> None:
    names = [file.name for corpus in REMOTE_CORPORA.values() for file in (*corpus.files, *corpus.val)]
    assert len(set(names)) == len(names)
