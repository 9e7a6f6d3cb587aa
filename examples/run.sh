#!/bin/sh
# Set up and run the health suite on the example home; more options may follow, such as --mdm-html report.html.
set -eu
. "$(dirname "$0")/../scripts/environment.sh"
in_environment ""

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" "$root/examples/unpack.py" "$root/examples/mdm-1.0.6-sqlite.tar.gz" "$work/home" >/dev/null
cd "$work"
"$python" -m pytest --mdm-health "--mdm-home=$work/home" "$@"
