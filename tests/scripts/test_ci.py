"""`.ci/run`: where it looks for data, and that tests of browser, JavaScript and site may not be skipped there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.patience import PATIENCE

ROOT = Path(__file__).parents[2]
TELL = '#!/bin/sh\necho "data=$LAB_DATA_DIR tiktoken=$TIKTOKEN_CACHE_DIR ci=$CI args=$*"\n'


def clone(folder: Path) -> Path:
    """A project that consists of `.ci` and a scripts/test that tells how it was called."""
    project = folder / "project"
    shutil.copytree(ROOT / ".ci", project / ".ci")
    (project / "scripts").mkdir()
    (project / "scripts/test").write_text(TELL)
    (project / "scripts/test").chmod(0o755)
    return project


def run(project: Path, *args: str) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if k not in ("LAB_DATA_DIR", "TIKTOKEN_CACHE_DIR", "CI")}
    return subprocess.run(
        [str(project / ".ci/run"), *args], env=clean, cwd="/", capture_output=True, text=True, timeout=PATIENCE
    )


def test_data_beside_the_clone_is_used(tmp_path: Path) -> None:
    project = clone(tmp_path)
    data = tmp_path / "shared/data"
    data.mkdir(parents=True)
    done = run(project, "tests/model")
    assert done.returncode == 0, done.stderr
    assert f"data={data} tiktoken={data}/tiktoken-cache ci=true" in done.stdout
    assert done.stdout.rstrip().endswith("tests/model")


def test_without_it_the_environment_stays_as_it_is(tmp_path: Path) -> None:
    assert "data= tiktoken= ci=true" in run(clone(tmp_path)).stdout


def pytest_with_plugin(folder: Path, test: str) -> subprocess.CompletedProcess[str]:
    (folder / "pytest.ini").write_text(
        "[pytest]\nmarkers =\n browser: needs a browser\n javascript: needs Node\n site: needs MkDocs\n"
    )
    (folder / "test_it.py").write_text("import pytest\n" + test)
    environment = os.environ | {"PYTHONPATH": str(ROOT / ".ci"), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [sys.executable, "-m", "pytest", "-p", "required_tests", str(folder)]
    return subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=PATIENCE)


def test_a_skipped_test_that_is_required_fails_with_its_reason_and_other_skips_do_not(tmp_path: Path) -> None:
    done = pytest_with_plugin(
        tmp_path,
        "@pytest.fixture\ndef chromium(): pytest.skip('no Chromium found')\n"
        "@pytest.mark.browser\ndef test_page(chromium): ...\n"
        "@pytest.mark.browser\ndef test_other_page(): pytest.skip('not today')\n"
        "@pytest.mark.javascript\ndef test_types(): pytest.skip('no Node found')\n"
        "@pytest.mark.site\ndef test_site(): pytest.skip('no MkDocs')\n"
        "@pytest.mark.skip(reason='no GPU')\ndef test_gpu(): ...\n",
    )
    assert done.returncode == 1
    assert "no Chromium found" in done.stdout
    assert "not today" in done.stdout
    assert "a javascript test may not be skipped here" in done.stdout
    assert "no Node found" in done.stdout
    assert "a site test may not be skipped here" in done.stdout
    last = done.stdout.rstrip().splitlines()[-1]
    assert "1 skipped" in last
    assert "failed" in last or "error" in last


def test_where_no_test_is_required_nothing_fails(tmp_path: Path) -> None:
    assert pytest_with_plugin(tmp_path, "def test_sum(): assert 1 + 1 == 2\n").returncode == 0
