"""`report` as a person types it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.__main__ import main as lab
from lab.commands.report import main
from lab.report import user_texts_in
from tests.report.runs import make_run


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("all") / "runs"
    for i in range(6):
        run = make_run(root, f"run-{i}", steps=40 + 40 * i, seed=i)
        run.status_path.write_text(
            run.status_path.read_text().replace('"parameters": 20000', f'"parameters": {4**i * 500}')
        )
    return root


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes seconds, and is tested with the room: here a picture is nothing but its first bytes."""
    monkeypatch.setattr("lab.report.writer.Writer._png", lambda *_, dark: b"\x89PNG")


def test_markdown_and_page(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert lab(["report", "run-0", "--html", "--root", str(root)]) == 0
    run = root / "run-0"
    assert capsys.readouterr().out.splitlines() == [str(run / "report.md"), str(run / "report.html")]
    text = (run / "report.md").read_text()
    (run / "report.md").write_text(
        text.replace("<!-- yours: learned -->\n", "<!-- yours: learned -->\nPatience & <tea>")
    )
    assert main(["run-0", "--root", str(root), "--html"]) == 0
    assert user_texts_in(run / "report.md") == {"learned": "Patience & <tea>"}
    assert "Patience &amp; &lt;tea&gt;" in (run / "report.html").read_text()
    (run / "report.md").write_text((run / "report.md").read_text().replace("# run-0", "# my run"))
    capsys.readouterr()
    assert main(["run-0", "--root", str(root)]) == 0
    assert "kept as" in capsys.readouterr().out
    assert "# my run" in (run / "report.kept-1.md").read_text()


def test_another_file(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("look back.md", "look-back.html"):
        assert main(["run-1", "--root", str(root), "--out", str(tmp_path / name)]) == 0
        assert (tmp_path / name).exists()
    assert "(look%20back/loss.png)" in (tmp_path / "look back.md").read_text()
    assert not (root / "run-1" / "report.md").exists()


def test_all_runs(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--all", "--root", str(root), "--html"]) == 0
    text = (root / "report.md").read_text()
    assert "Ten times the compute multiplied the loss by" in text
    assert "Patience & \\<tea\\>" in text or "Patience & <tea>" in text
    assert "`lr_too_high`" in text
    assert "6 runs under" in text


@pytest.mark.parametrize(
    ("args", "error"),
    [
        (["run-9"], "did you mean"),
        (["--all", "run-1"], "--all is of all runs"),
        (["run-1", "--out", "a.pdf"], "ends in .md or .html"),
        (["run-1", "--out", "nowhere/a.md"], "there is no folder 'nowhere'"),
        (["run-1", "--html", "--out", "a.md"], "contradict each other"),
        (["run-1", "--htlm"], "did you mean --html"),
        (["--all", "--root", "nowhere"], "there is no run in 'nowhere'"),
    ],
)
def test_wrong_input_is_one_line(root: Path, capsys: pytest.CaptureFixture[str], args: list[str], error: str) -> None:
    args = args if "--root" in args else [*args, "--root", str(root)]
    assert main(args) == 2
    said = capsys.readouterr()
    assert error in said.err
    assert (said.out, said.err.count("\n")) == ("", 1)
