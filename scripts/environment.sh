# Sourced by the other scripts: a virtual environment with this project in it, made once and brought up to date.
#
#   in_environment EXTRAS [NAME]   leaves $python set to its interpreter; $PYTHON says which one it is made with

root=$(cd "$(dirname "$0")/.." && pwd)

# Images for containers set it: then each of the interpreters that the tests start compiles everything again.
unset PYTHONDONTWRITEBYTECODE

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

debian_packages() {
    missing=""
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q "ok installed" || missing="$missing $package"
    done
    [ -z "$missing" ] && return
    as_root apt-get update -q
    # shellcheck disable=SC2086 # a list of words
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing
}

in_environment() {
    environment="$root/${2:-.venv}"
    base=${PYTHON:-python3}
    if ! "$base" -c 'import ensurepip, venv' 2>/dev/null; then
        debian_packages python3-venv
    fi
    [ -x "$environment/bin/python" ] || "$base" -m venv "$environment"
    python="$environment/bin/python"
    installed="$environment/installed$1" # asking pip takes seconds, although nothing is missing
    if [ "$installed" -nt "$root/pyproject.toml" ] && [ "$installed" -nt "$root/pytest_mdm_health/__init__.py" ]; then
        return
    fi
    "$python" -m pip install --quiet --disable-pip-version-check --editable "$root$1"
    touch "$installed"
}
