#!/bin/sh
# OpenEnv's client in an environment of its own: .venv-openenv. A test speaks with our server through
# it; WebDojo itself does not need it. Of OpenEnv's packages only those that its client imports.
set -eu

cd "$(dirname "$0")/.."
python="${PYTHON:-python3}"

test -x .venv-openenv/bin/python || "$python" -m venv .venv-openenv
.venv-openenv/bin/pip install --quiet --disable-pip-version-check --no-deps "openenv==0.10.0"
.venv-openenv/bin/pip install --quiet --disable-pip-version-check \
    "websockets>=15" "pydantic>=2" "fastapi>=0.116" "requests>=2.25" "fastmcp>=3,<4" "httpx>=0.28"
.venv-openenv/bin/python -c "from openenv.core import GenericEnvClient"
echo "setup-openenv: .venv-openenv is ready."
