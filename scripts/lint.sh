#!/usr/bin/env bash
# Every check that runs nothing of the product. All of them run, those of the browser part beside those of Python; the
# exit status is that of the worst.
set -uo pipefail
source "$(dirname "$0")/common.sh"
cd "$ROOT"
notes=$(mktemp -d)
trap 'rm -rf "$notes"' EXIT

check() { # NAME COMMAND...
  local name=$1
  shift
  if "$@"; then say "ok      $name"; else
    say "FAILED  $name"
    printf '%s\n' "$name" >>"$notes/failed"
  fi
}

in_frontend() { (cd frontend && "$ROOT/scripts/node.sh" npm run --silent "$@"); }

of_python() {
  check "ruff" "$VENV/bin/ruff" check --quiet .
  check "ruff format" "$VENV/bin/ruff" format --check --quiet .
  check "mypy" "$VENV/bin/mypy" --no-error-summary
  check "mypy, scripts" "$VENV/bin/mypy" --no-error-summary --strict scripts/train_digits.py
  check "import-linter" "$VENV/bin/lint-imports" --no-logo
}

of_browser_part() {
  check "eslint" in_frontend lint
  check "tsc" in_frontend typecheck
  check "types generated from the API" env STUDIO_PYTHON="$VENV/bin/python" "$ROOT/scripts/node.sh" npm run --silent --prefix frontend api:check
}

of_browser_part >"$notes/browser_part" 2>&1 &
of_python
wait
cat "$notes/browser_part" >&2
if [ -s "$notes/failed" ]; then die "checks that failed: $(tr '\n' ' ' <"$notes/failed")"; fi
