#!/usr/bin/env bash
# Make .venv-video: the packages of .venv and moviepy, which Gymnasium's RecordVideo writes with.
# It stands apart because moviepy holds Pillow back. Does nothing when it is there.
#
#   WEBDOJO_PYTHON  the Python to use, by default the one of .venv
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

moviepy=moviepy==2.2.1
log=build/setup-video.log

say() { printf 'setup-video: %s\n' "$1"; }

if .venv-video/bin/python -c 'import moviepy, webdojo' 2>/dev/null; then
    say "nothing to do: .venv-video has $moviepy"
    exit 0
fi
python=${WEBDOJO_PYTHON-.venv/bin/python}
if ! command -v "$python" >/dev/null; then
    say "$python: no such program; run \`make setup\` first, or set WEBDOJO_PYTHON" >&2
    exit 2
fi
mkdir -p build
say "installing $moviepy into .venv-video"
where='import sysconfig; print(sysconfig.get_path("purelib"))'
if ! { "$python" -m venv --clear .venv-video &&
    .venv-video/bin/python -m pip install --no-input "$moviepy"; } >"$log" 2>&1; then
    tail -n 15 "$log" >&2
    say "failed; the whole log is in $log" >&2
    exit 2
fi
# What is in .venv-video comes first. `site` is asked because .venv has its own .pth files.
printf 'import site; site.addsitedir("%s")\n' "$("$python" -c "$where")" \
    >"$(.venv-video/bin/python -c "$where")/webdojo-packages.pth"
.venv-video/bin/python -c 'import moviepy, webdojo' || { say "moviepy does not import" >&2; exit 2; }
say "done: .venv-video is ready"
