#!/usr/bin/env bash
# Writes the wheel to dist/ (or to the folder given). It holds the studio, the agent and the built browser part.
set -euo pipefail
source "$(dirname "$0")/common.sh"
cd "$ROOT"
[ -s backend/partition_studio/static/index.html ] || die "the browser part is not built. Run: make frontend"
out=${1:-dist}
"$VENV/bin/python" -m pip --disable-pip-version-check wheel --quiet --no-deps --no-build-isolation --wheel-dir "$out" .
say "Wrote $(ls -t "$out"/partition_studio-*.whl | head -1)"
