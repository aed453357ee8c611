from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lab.commands.tokenizer import as_shown, main
from lab.data.tokenizers import load_tokenizer
from lab.data.vocabulary import ByteTokenizer, CharTokenizer


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    folder = tmp_path / "texts"
    folder.mkdir()
    for i in range(20):
        (folder / f"{i}.txt").write_text("".join(f"file {i}: line {n} of some text\n" for n in range(30)))
    return folder


def test_train_writes_a_tokenizer_and_says_what_it_gains(
    texts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "tok.json"
    assert main(["train", "--path", str(texts), "--vocab_size", "300", "--out", str(out)]) == 0
    tokenizer = load_tokenizer(out)
    assert tokenizer.vocab_size == 300
    said = capsys.readouterr().out
    assert "bytes per token" in said
    gain = float(next(line for line in said.splitlines() if "tok.json (300)" in line).split()[-1])
    text = (texts / "3.txt").read_text()
    assert gain == pytest.approx(len(text) / len(tokenizer.encode(text)), rel=0.1)
    assert gain > 2


def test_train_takes_several_files_and_a_field(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [json.dumps({"body": f"row {i} of many rows of text"}) for i in range(100)]
    for name in ("a.jsonl", "b.jsonl"):
        (tmp_path / name).write_text("\n".join(rows) + "\n" + json.dumps({"body": name}) + "\n")
    out = tmp_path / "tok.json"
    files = [str(tmp_path / "a.jsonl"), str(tmp_path / "b.jsonl")]
    assert main(["train", "--path", *files, "--text_key", "body", "--vocab_size", "280", "--out", str(out)]) == 0
    assert load_tokenizer(out).vocab_size == 280


def test_show_prints_the_longest_tokens(texts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "tok.json"
    main(["train", "--path", str(texts), "--vocab_size", "300", "--out", str(out)])
    capsys.readouterr()
    assert main(["show", str(out)]) == 0
    said = capsys.readouterr().out
    longest = max(load_tokenizer(out).tokens[:-1], key=lambda token: len(token or b""))
    assert longest
    assert "bpe  300 tokens, end of text: 299" in said
    assert as_shown(longest) in said


def test_show_cuts_a_text_into_its_tokens(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "tok.json"
    file.write_text(ByteTokenizer().to_json())
    assert main(["show", str(file), "--text", "a b\té\n"]) == 0
    said = capsys.readouterr().out
    assert r"a|·|b|→|\xc3|\xa9|⏎" in said
    assert "97 32 98 9 195 169 10" in said
    assert "7 bytes, 7 tokens, 1.00 bytes per token" in said
    assert main(["show", str(file), "--text", ""]) == 0
    assert "0 bytes, 0 tokens" in capsys.readouterr().out


def test_show_colours_on_a_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    (tmp_path / "tok.json").write_text(ByteTokenizer().to_json())
    assert main(["show", str(tmp_path / "tok.json"), "--text", "ab"]) == 0
    said = capsys.readouterr().out
    assert "\x1b[30;46ma" in said
    assert "\x1b[30;43mb" in said
    assert "a|b" not in said


def test_show_reads_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from lab.runs import create_run

    run = create_run(tmp_path / "runs", "mine")
    (run.path / "tokenizer.json").write_text(CharTokenizer("abc").to_json())
    for what in ("mine", str(run.path)):
        assert main(["show", what, "--root", str(tmp_path / "runs"), "--text", "cab"]) == 0
        assert "2 0 1" in capsys.readouterr().out


def test_nothing_a_terminal_would_obey_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "tok.json").write_text(CharTokenizer("a\x1b\x07\r\u202e[]").to_json())
    assert main(["show", str(tmp_path / "tok.json")]) == 0
    assert main(["show", str(tmp_path / "tok.json"), "--text", "\x1b]\x07\r[a"]) == 0
    said = capsys.readouterr().out
    assert not set("\x1b\x07\r\u202e") & set(said)
    assert r"\x1b|]|\x07|\r|[|a" in said


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ([], "say train or show (see"),
        (["teach"], "not 'teach'"),
        (["show", "x.json", "--txt", "a"], "did you mean --text"),
        (["train"], "--corpus --path"),
        (["train", "--corpus", "pyton"], "did you mean 'python'"),
        (["train", "--corpus", "markov"], "its vocabulary"),
        (["train", "--path", "missing.txt"], "missing.txt does not exist"),
        (["train", "--corpus", "python", "--vocab_size", "12"], "too small for 'bpe'"),
        (["train", "--corpus", "python", "--vocab_size", "many"], "invalid int value"),
        (["train", "--corpus", "python", "--out", "no/such/folder/tok.json"], "a folder that exists"),
        (["show"], "FILE_OR_RUN"),
        (["show", "missing.json"], "no tokenizer at missing.json"),
        (["show", "no-such-run"], "no-such-run"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(
    argv: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(argv) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.strip().splitlines()) == 1
    assert said in captured.err


def test_show_starts_without_torch_or_lightning(tmp_path: Path) -> None:
    (tmp_path / "tok.json").write_text(ByteTokenizer().to_json())
    code = (
        "import sys; from lab.__main__ import main; main(['tokenizer', 'show', sys.argv[1], '--text', 'hi']);"
        " assert not {'torch', 'lightning'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "tok.json")], check=True, capture_output=True)


def test_help_of_both(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert "tokenizer train" in capsys.readouterr().out
    for command in ("train", "show"):
        with pytest.raises(SystemExit) as stop:
            main([command, "--help"])
        assert stop.value.code == 0
        assert f"tokenizer {command}" in capsys.readouterr().out
