# shellcheck shell=sh
# Set-up shared by the scripts beside this file: finds a Python, makes .venv, installs the project into it.
# Read with `.` from the project's root. Plain sh, so that it runs alike on Linux and macOS.
#
#   LAB_PYTHON   the Python to make .venv with; unset: the newest of python3.13 … python3.11, python3 that works

VENV_PYTHON=.venv/bin/python

say() { printf '%s\n' "$*" >&2; }

# Whether "$1" starts and is new enough. Being found is not enough: a version manager's shim may stand for a
# Python that is not installed.
runs_well() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

find_python() {
    if [ -n "${LAB_PYTHON:-}" ]; then
        runs_well "$LAB_PYTHON" && echo "$LAB_PYTHON" && return
        say "LAB_PYTHON=$LAB_PYTHON is no Python of version 3.11 or newer that runs."
        return 1
    fi
    for candidate in python3.13 python3.12 python3.11 python3; do
        runs_well "$candidate" && echo "$candidate" && return
    done
    say "No Python of version 3.11 or newer was found (tried python3.13, python3.12, python3.11, python3)."
    say "Install one (Debian, Ubuntu: sudo apt-get install python3 python3-venv; macOS: brew install python@3.13;"
    say "elsewhere: https://www.python.org/downloads/), or name one: LAB_PYTHON=/path/to/python3 $0"
    return 1
}

has_pip() { runs_well "$VENV_PYTHON" && "$VENV_PYTHON" -m pip --version >/dev/null 2>&1; }

# A .venv whose Python has gone or whose making was cut short is made anew.
make_venv() {
    has_pip && return
    python=$(find_python) || return 1
    say "making .venv with $("$python" --version)"
    reason=$("$python" -m venv --clear .venv 2>&1) && return
    # Debian keeps the means to put pip into a new environment in a package of its own; a pip that is there will do.
    "$python" -m venv --clear --without-pip .venv >/dev/null 2>&1 &&
        "$python" -m pip --python "$VENV_PYTHON" install --quiet pip && return
    say "$reason"
    say "No virtual environment could be made. Debian, Ubuntu: sudo apt-get install python3-venv"
    return 1
}

# What an installation depends on: the project file, and the folder that the editable install points to.
fingerprint() { cksum <pyproject.toml && pwd; }

is_installed() { fingerprint | cmp -s - ".venv/installed-$1" 2>/dev/null; }

mark_installed() { fingerprint >".venv/installed-$1"; }

# pip_install REQUIREMENT: pip's own progress on a terminal, silence elsewhere; errors always.
pip_install() {
    if [ -t 1 ]; then quiet=; else quiet=--quiet; fi
    # shellcheck disable=SC2086  # nothing, or one word
    "$VENV_PYTHON" -m pip install --disable-pip-version-check $quiet --editable "$1"
}

# set_up project | set_up docs | set_up test: .venv holds the project (and what its site or its tests need); instant
# when it does already. The extra `test` includes `docs`.
set_up() {
    is_installed "$1" && runs_well "$VENV_PYTHON" && return
    make_venv || return 1
    case $1 in
        project) requirement=. ;;
        *) requirement=".[$1]" ;;
    esac
    say "installing into .venv: a minute or two, more on a slow line"
    if ! pip_install "$requirement"; then
        say "The installation failed; pip's lines above say why. Run this again to go on: $0"
        return 1
    fi
    mark_installed "$1"
    mark_installed project
    [ "$1" != test ] || mark_installed docs
}

# bounded SECONDS COMMAND …: COMMAND, and everything it started, ended after that time (macOS has no `timeout`).
bounded() {
    "$VENV_PYTHON" -c '
import os, signal, subprocess, sys
process = subprocess.Popen(sys.argv[2:], start_new_session=True)
seconds = float(sys.argv[1])
for end in (signal.SIGTERM, signal.SIGKILL):
    try:
        sys.exit(process.wait(seconds))
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        os.killpg(process.pid, end)
        seconds = 10
sys.exit(124)
' "$@"
}
