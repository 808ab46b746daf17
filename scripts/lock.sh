#!/usr/bin/env bash
# Remakes every hash-locked requirements file, for all systems at once and without index addresses.
# Needs uv: `pip install uv`. Arguments go to uv, for example `scripts/lock.sh --upgrade`.
set -euo pipefail
cd "$(dirname "$0")/.."
uv=${UV:-uv}
options=(--universal --generate-hashes --no-emit-index-url --no-header --quiet "$@")

lock() { # OUTPUT PYTHON_VERSION SOURCE...
  local output=$1 python=$2
  shift 2
  "$uv" pip compile "${options[@]}" --python-version "$python" "$@" --output-file "$output"
  printf '%s: %s packages\n' "$output" "$(grep -c '==' "$output")"
}

lock requirements/pip.txt 3.11 requirements/pip.in
# dev.txt first: what the studio needs is then locked to the same versions in both.
lock requirements/dev.txt 3.11 pyproject.toml requirements/build.in --group dev
lock requirements/studio.txt 3.11 pyproject.toml requirements/build.in --constraint requirements/dev.txt
# Beside dev.txt, and of the same versions where both name a package.
lock requirements/bench.txt 3.11 --group bench --constraint requirements/dev.txt
lock requirements/node.txt 3.11 requirements/node.in
lock agents/partition_agent/requirements.lock 3.8 agents/requirements.in
