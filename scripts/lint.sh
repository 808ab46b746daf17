#!/usr/bin/env bash
# Every check that runs nothing of the product. All of them run; the exit status is that of the worst.
set -uo pipefail
source "$(dirname "$0")/common.sh"
cd "$ROOT"
failed=()

check() { # NAME COMMAND...
  local name=$1
  shift
  if "$@"; then say "ok      $name"; else
    say "FAILED  $name"
    failed+=("$name")
  fi
}

in_frontend() { (cd frontend && "$ROOT/scripts/node.sh" npm run --silent "$@"); }

check "ruff" "$VENV/bin/ruff" check --quiet .
check "ruff format" "$VENV/bin/ruff" format --check --quiet .
check "mypy" "$VENV/bin/mypy" --no-error-summary
check "mypy, scripts" "$VENV/bin/mypy" --no-error-summary --strict scripts/train_digits.py
check "import-linter" "$VENV/bin/lint-imports" --no-logo
check "eslint" in_frontend lint
check "tsc" in_frontend typecheck
check "types generated from the API" env STUDIO_PYTHON="$VENV/bin/python" "$ROOT/scripts/node.sh" npm run --silent --prefix frontend api:check
[ ${#failed[@]} = 0 ] || die "checks that failed: ${failed[*]}"
