#!/usr/bin/env bash
# Make .venv-trl: TRL in an environment of its own, to compare with. WebDojo never imports it.
# Does nothing when it is there.
#
#   WEBDOJO_PYTHON  the Python to use, by default the one of .venv
#   WEBDOJO_TORCH   what to ask pip for in place of torch==2.13.0, pip's options included
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

trl=trl==1.16.0
torch=${WEBDOJO_TORCH-torch==2.13.0}
log=build/setup-trl.log

say() { printf 'setup-trl: %s\n' "$1"; }

if .venv-trl/bin/python -c 'import sys, trl; sys.exit(trl.__version__ != sys.argv[1])' \
    "${trl#*==}" 2>/dev/null; then
    say "nothing to do: .venv-trl has $trl"
    exit 0
fi
python=${WEBDOJO_PYTHON-.venv/bin/python}
if ! command -v "$python" >/dev/null; then
    say "$python: no such program; run \`make setup\` first, or set WEBDOJO_PYTHON" >&2
    exit 2
fi
mkdir -p build
say "installing $trl and $torch into .venv-trl: some minutes on a slow line"
# shellcheck disable=SC2086  # WEBDOJO_TORCH may hold options beside the requirement
if ! { "$python" -m venv --clear .venv-trl &&
    .venv-trl/bin/python -m pip install --no-input $torch "$trl"; } >"$log" 2>&1; then
    tail -n 15 "$log" >&2
    say "could not make .venv-trl; the whole log is in $log" >&2
    exit 2
fi
say "done: .venv-trl is ready"
