#!/bin/sh
# BrowserGym, its MiniWoB tasks and a web application, in an environment of their own: .venv-browsergym.
# The benchmarks compare with the first and take pages from the last; WebDojo itself needs neither.
set -eu

cd "$(dirname "$0")/.."
python="${PYTHON:-python3}"

test -x .venv-browsergym/bin/python || "$python" -m venv .venv-browsergym
.venv-browsergym/bin/pip install --quiet --disable-pip-version-check \
    "browsergym-core==0.14.3" "browsergym-miniwob==0.14.3" "miniwob==1.1.0" \
    "datasette==0.65.1" "selectolax>=0.3" psutil
.venv-browsergym/bin/python -c "import browsergym.core, browsergym.miniwob, datasette"
echo "setup-browsergym: .venv-browsergym is ready."
