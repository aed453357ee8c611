#!/usr/bin/env bash
# uv 0.13.9: killed while it links a package into an environment, it leaves files missing, and the next install does not
# notice: the package's .dist-info is there, so "already installed" it is.
#
# A package's files are linked in no order that puts .dist-info last, so for the whole time of linking a package the
# environment may hold its RECORD and not its modules. `uv pip check` says nothing either; only `--reinstall` mends it.
#
# Seen 2026-11-29 on an AMD EPYC, 2 cores, ext4, Python 3.11.7: of 6 kills at 1.0 to 3.5 s two left sympy with 608 and 834
# of its files missing, and so it stayed.
#
# Exits 0 while it is so, 1 when 40 kills left nothing that a second install did not mend.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export UV_CACHE_DIR=$folder/cache
python3 -m venv tools
tools/bin/pip install -q --disable-pip-version-check uv==0.13.9
install=(tools/bin/uv pip install -q --python env/bin/python --no-deps sympy==1.14.0)
missing() {
    env/bin/python - <<'PYTHON'
from importlib import metadata

try:
    print(sum(not file.locate().exists() for file in metadata.files("sympy")))
except metadata.PackageNotFoundError:
    print(0)
PYTHON
}
python3 -m venv --without-pip env
"${install[@]}" # fills the cache
for attempt in $(seq 40); do
    rm -rf env
    python3 -m venv --without-pip env
    "${install[@]}" &
    killed=$!
    until compgen -G "env/lib/python*/site-packages/sympy-*" >/dev/null; do :; done
    kill -9 $killed
    wait $killed 2>/dev/null || true
    left=$(missing)
    [ "$left" -ne 0 ] || continue
    "${install[@]}"
    again=$(missing)
    echo "kill $attempt: $left files missing, after another install $again"
    [ "$again" -eq 0 ] || exit 0
done
echo "nothing was missing after a second install"
exit 1
