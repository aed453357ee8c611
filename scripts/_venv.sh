# shellcheck shell=sh
# Set-up shared by the scripts beside this file: finds a Python, makes .venv, installs the project into it.
# Read with `.` from the project's root. Plain sh, so that it runs alike on Linux and macOS.
#
#   LAB_PYTHON      the Python to make .venv with; unset: the newest of python3.14 … python3.11, python3 that works
#   LAB_INSTALLER   pip: install by pip, slower. Unset: by uv, which is put into .venv where there is none

VENV_PYTHON=.venv/bin/python
PYTHONS="python3.14 python3.13 python3.12 python3.11 python3"

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
    for candidate in $PYTHONS; do
        runs_well "$candidate" && echo "$candidate" && return
    done
    say "No Python of version 3.11 or newer was found (tried $PYTHONS)."
    say "Install one (Debian, Ubuntu: sudo apt-get install python3 python3-venv; macOS: brew install python@3.13;"
    say "elsewhere: https://www.python.org/downloads/), or name one: LAB_PYTHON=/path/to/python3 $0"
    return 1
}

# ---------------------------------------------------------------- one set-up at a time

# Another set-up in this folder is waited for; the turn of one that was killed is taken over.
take_turn() {
    waited=0
    until mkdir .venv.lock 2>/dev/null; do
        if [ ! -d .venv.lock ]; then
            say "Nothing can be written to $PWD. Copy the project to a folder of your own, and run $0 there."
            return 1
        fi
        holder=$(cat .venv.lock/process 2>/dev/null) || holder=
        if [ -n "$holder" ]; then kill -0 "$holder" 2>/dev/null; else [ $waited -lt 5 ]; fi || {
            rm -rf .venv.lock
            continue
        }
        [ $waited -ne 1 ] || say "another set-up (process $holder) is at work in this folder: waiting for it"
        waited=$((waited + 1))
        sleep 1
    done
    echo $$ >.venv.lock/process
    trap 'end_turn' EXIT
    trap 'exit 130' INT TERM
}

# A .venv that this set-up began and did not finish goes: what was downloaded lies in the installer's cache.
end_turn() {
    trap - EXIT INT TERM
    [ -z "${BEGUN:-}" ] || rm -rf .venv
    rm -rf .venv.lock
}

# ---------------------------------------------------------------- the environment and what installs into it

has_pip() { "$VENV_PYTHON" -m pip --version >/dev/null 2>&1; }

# What compiled packages are made for: the version of Python, the system, the processor.
made_for() { "$VENV_PYTHON" -c 'import os, sys; print(*sys.version_info[:2], sys.platform, os.uname().machine)'; }

# Whether .venv works here. One that came from another machine may start, by a Python of that machine's path, and find
# no packages, or none that load. One in which an installer was killed holds packages with files missing, which
# installers take for installed. A .venv that these scripts did not make has no note of what it is for, and is kept.
venv_fits() {
    runs_well "$VENV_PYTHON" || return 1
    [ ! -e .venv/made-for ] || { [ ! -e .venv/unfinished ] && made_for | cmp -s - .venv/made-for; }
}

# A .venv that does not fit is made anew. Without pip: see choose_installer.
make_venv() {
    venv_fits && return
    python=$(find_python) || return 1
    say "making .venv with $("$python" --version)"
    BEGUN=yes
    reason=$("$python" -m venv --clear --without-pip .venv 2>&1) && made_for >.venv/made-for && return
    say "$reason"
    say "No virtual environment could be made. Debian, Ubuntu: sudo apt-get install python3-venv"
    return 1
}

# The pip of .venv, else that of the Python which .venv is made of.
some_pip() {
    if has_pip; then
        "$VENV_PYTHON" -m pip --disable-pip-version-check "$@"
    else
        "$(find_python)" -m pip --disable-pip-version-check --python "$VENV_PYTHON" "$@"
    fi
}

# Whether "$1" is a uv that chooses among torch's builds (0.6.9 and newer).
is_uv() { "$1" pip install --help 2>/dev/null | grep -q -e --torch-backend; }

# INSTALL becomes the command that installs: uv (one on the path, one in .venv, or one that pip brings), else pip.
choose_installer() {
    INSTALL=
    if [ "${LAB_INSTALLER:-uv}" = uv ]; then
        if is_uv uv; then
            INSTALL="uv pip install"
        elif [ -x .venv/bin/uv ] || reason=$(some_pip --retries 1 install --quiet uv 2>&1) && [ -x .venv/bin/uv ]; then
            INSTALL=".venv/bin/uv pip install"
        elif is_common "$reason"; then
            return 1
        fi
    fi
    if [ -n "$INSTALL" ]; then
        INSTALL="$INSTALL --python $VENV_PYTHON"
        hand_on_pips_settings
        # Python compiles what it imports and keeps it, unless it is told not to: then every start would take 6 s more.
        [ -z "${PYTHONDONTWRITEBYTECODE:-}" ] || export UV_COMPILE_BYTECODE=1
    elif has_pip || "$VENV_PYTHON" -m ensurepip >/dev/null 2>&1 || some_pip install --quiet pip >/dev/null 2>&1; then
        INSTALL="$VENV_PYTHON -m pip install --disable-pip-version-check"
    else
        say "Neither uv nor pip can be had. Debian, Ubuntu: sudo apt-get install python3-venv; elsewhere install uv:"
        say "https://docs.astral.sh/uv/getting-started/installation. Without a network nothing can be installed."
        return 1
    fi
}

# pip_setting NAME SEPARATOR: a line of `pip config list`, the environment's before the files', several values joined.
pip_setting() {
    printf '%s\n' "$settings" | sed -nE "s/^(:env:|global|install|user|site)\.$1='(.*)'\$/\2/p" |
        sed -e '1!d' -e 's/\\n/ /g' -e 's/^ *//' -e "s/  */$2/g"
}

# uv does not read pip's settings: a company's mirror, a folder of wheels, its certificates.
hand_on_pips_settings() {
    settings=$(some_pip config list 2>/dev/null) || return 0
    index=$(pip_setting index-url ' ') more=$(pip_setting extra-index-url ' ')
    links=$(pip_setting find-links ,) certificates=$(pip_setting cert ' ')
    [ -z "$index" ] || export UV_DEFAULT_INDEX="${UV_DEFAULT_INDEX:-$index}"
    [ -z "$links" ] || export UV_FIND_LINKS="${UV_FIND_LINKS:-$links}"
    [ -z "$certificates" ] || export SSL_CERT_FILE="${SSL_CERT_FILE:-$certificates}"
    # pip takes the best release of all indexes, uv that of the first one that has any.
    [ -z "$more" ] || export UV_INDEX="${UV_INDEX:-$more}" UV_INDEX_STRATEGY="${UV_INDEX_STRATEGY:-unsafe-best-match}"
}

# ---------------------------------------------------------------- why an installation failed

# free_room FOLDER: MB that are left on its disk.
free_room() { df -Pk "$1" | awk 'END { print int($4 / 1024) }'; }

# is_common WORDS: says the reason of a failure and its remedy in a line, where an installer's words tell it.
is_common() {
    case $1 in
        *"No space left on device"*) say "A disk is full: make room (uv's cache: uv cache clean), then run this again: $0" ;;
        *ertificate*) say "A certificate is not trusted: SSL_CERT_FILE=/path/to/your/company.pem $0" ;;
        *"client error (Connect)"* | *"operation timed out"* | *Connection*Error* | *Connect*Timeout* | *ProxyError*)
            say "The index of packages cannot be reached. Connect to the network, then run this again: $0" \
                "(behind a proxy: HTTPS_PROXY=http://HOST:PORT $0)" ;;
        *"SOCKS support"*) say "pip cannot use a SOCKS proxy: name one for HTTP (HTTPS_PROXY=http://HOST:PORT $0), or install uv" ;;
        *"Failed to build"* | *"build backend"*)
            say "A package has no build for $("$VENV_PYTHON" --version) on $(uname -sm), and cannot be built here:" \
                "take another Python, such as LAB_PYTHON=python3.13 $0" ;;
        *) return 1 ;;
    esac
}

tell_failure() {
    ! is_common "$1" || return 0
    [ -z "$1" ] || say "$1"
    say "The installation failed; the lines above say why. Run this again to go on: $0"
    say "(by pip instead of uv: LAB_INSTALLER=pip $0)"
}

# ---------------------------------------------------------------- installing

# What an installation depends on: the project file, and the folder that the editable install points to.
fingerprint() { cksum <pyproject.toml && pwd; }

is_installed() { fingerprint | cmp -s - ".venv/installed-$1" 2>/dev/null; }

mark_installed() { fingerprint >".venv/installed-$1"; }

has_gpu() { nvidia-smi -L >/dev/null 2>&1 || [ -e /dev/kfd ]; }

# plan REQUIREMENT OPTION …: what uv would install.
plan() {
    requirement=$1
    shift
    # shellcheck disable=SC2086  # a command of several words
    $INSTALL --dry-run "$@" --editable "$requirement" 2>&1
}

# The newest CPU build of torch, within the project's bounds, in the folders of wheels that pip is configured with, as
# `torch==…+cpu`; else nothing. Of uv and of pip.
torch_on_disk() {
    bounds=$(sed -n 's/^ *"\(torch[<>=][^"]*\)".*/\1/p' pyproject.toml)
    # shellcheck disable=SC2086
    $INSTALL --dry-run --no-index --no-deps "${bounds:-torch}" 2>&1 |
        sed -n -e 's/^ + \(torch==.*+cpu\)$/\1/p' -e 's/^Would install torch-\(.*+cpu\)$/torch==\1/p'
}

# The build of torch: BACKEND becomes uv's options for it. PyPI's build for Linux on x86-64 is made for NVIDIA's GPUs and
# five times the download. Where there is none the CPU's is asked for, else the one that fits the driver; where that
# source cannot be reached, one on disk or PyPI's it is. PLAN becomes what uv is going to install.
choose_torch() {
    BACKEND=
    PLAN=$(plan "$1") || { tell_failure "$PLAN" && return 1; }
    case $PLAN in *"+ nvidia-"*) ;; *) return 0 ;; esac
    if has_gpu; then wanted=auto; else wanted=cpu; fi
    torch_on_disk >.venv.lock/torch
    if better=$(UV_HTTP_RETRIES=1 plan "$1" --torch-backend $wanted); then
        PLAN=$better BACKEND="--torch-backend $wanted"
    elif [ $wanted = cpu ] && [ -s .venv.lock/torch ] && better=$(plan "$1" --constraint .venv.lock/torch); then
        PLAN=$better BACKEND="--constraint .venv.lock/torch"
    elif [ $wanted = cpu ]; then
        say "download.pytorch.org, which has torch without CUDA, cannot be reached: this takes the build with it"
    fi
}

# The folder of uv's cache, or the nearest one above it that is there.
cache_folder() {
    folder=$(${INSTALL%% pip*} cache dir 2>/dev/null) || folder=.
    until [ -d "${folder:-.}" ]; do folder=$(dirname "$folder"); done
    echo "${folder:-.}"
}

# Says what the plan costs, and whether the disks have the room. Sizes as measured in November 2026.
announce() {
    count=$(printf '%s\n' "$PLAN" | grep -c '^ + ') || :
    case $PLAN in
        *"+ nvidia-"*) room=6500 cost="about 2.9 GB to download (4 minutes at 100 Mbit/s), 6 GB on disk, CUDA included" ;;
        *"+ torch=="*) room=1400 cost="about 0.4 GB to download (half a minute at 100 Mbit/s), 1.2 GB on disk" ;;
        *) room=100 cost="little to download" ;;
    esac
    say "installing $count packages into .venv: $cost"
    cache=$(cache_folder)
    for folder in "$PWD" "$cache"; do
        free=$(free_room "$folder")
        [ "$free" -lt $room ] || continue
        say "$folder has $free MB of room left, the installation needs about $room MB. Make room, or move the project" \
            "(another folder for uv's cache: UV_CACHE_DIR)."
        return 1
    done
    # On one disk uv links the files of its cache, else it copies them, and warns unless it is told to.
    [ "$(df -P . | awk 'END { print $1 }')" = "$(df -P "$cache" | awk 'END { print $1 }')" ] || export UV_LINK_MODE=copy
}

# A line every ten seconds where no terminal shows the installer's own progress, until the file is gone.
tick() {
    fifths=0
    while sleep 0.2 && [ -e .venv.lock/installing ]; do
        fifths=$((fifths + 1))
        [ $((fifths % 50)) -ne 0 ] || say "  still installing after $((fifths / 5)) s: $(du -sh .venv 2>/dev/null | cut -f 1) in .venv"
    done
}

# install REQUIREMENT: progress on a terminal, a line now and then elsewhere; errors always. pip comes along, one that
# installs dependency groups.
install() {
    choose_installer || return 1
    BACKEND=
    case $INSTALL in
        *uv*) choose_torch "$1" && announce || return 1 ;;
        *)
            has_gpu || torch_on_disk >.venv.lock/torch
            [ ! -s .venv.lock/torch ] || BACKEND="--constraint .venv.lock/torch"
            say "installing into .venv by pip: about five minutes; where torch comes with CUDA 2.9 GB to download, else 0.4"
            ;;
    esac
    : >.venv/unfinished
    : >.venv.lock/errors
    # shellcheck disable=SC2086
    if [ -t 2 ]; then
        $INSTALL $BACKEND 'pip>=25.1' --editable "$1"
    else
        : >.venv.lock/installing
        tick &
        $INSTALL --quiet $BACKEND 'pip>=25.1' --editable "$1" 2>.venv.lock/errors
    fi
    set -- $?
    rm -f .venv.lock/installing
    [ "$1" -eq 0 ] || { tell_failure "$(cat .venv.lock/errors)" && return 1; }
    rm .venv/unfinished
}

# set_up project | set_up docs | set_up test: .venv holds the project (and what its site or its tests need); instant
# when it does already. The extra `test` includes `docs`. Cut short and run again, it goes on.
set_up() {
    is_installed "$1" && venv_fits && return
    take_turn || return 1
    is_installed "$1" && venv_fits && end_turn && return
    make_venv || return 1
    case $1 in
        project) requirement=".[page,wandb]" ;;
        *) requirement=".[page,wandb,$1]" ;;
    esac
    install "$requirement" || return 1
    BEGUN=
    mark_installed "$1"
    mark_installed project
    [ "$1" != test ] || mark_installed docs
    end_turn
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
