#!/usr/bin/env bash
# Runs every check and every test but the slow ones (with --all: those too); other arguments go to pytest. Tests of real
# SSH and of a real browser need openssh-server and chromium: both are installed where that is allowed. Where not, those
# tests are named, the rest runs, and it fails.
set -uo pipefail
source "$(dirname "$0")/common.sh"
cd "$ROOT"
failed=()
markers=("not slow")
if [ "${1:-}" = --all ]; then
  markers=()
  shift
fi

has_program() { # NAME...
  local name path
  for name in "$@"; do
    path=$(PATH=$PATH:/usr/sbin:/usr/local/sbin command -v "$name") && [ -x "$path" ] && return
  done
  return 1
}

need() { # MARKER PACKAGE PROGRAM...
  local marker=$1 package=$2
  shift 2
  if has_program "$@"; then return; fi
  apt_install "$package" || true
  if has_program "$@"; then return; fi
  failed+=("the tests marked '$marker' could not run: $package is not installed (as root: apt install $package)")
  markers+=("not $marker")
}

step() { # NAME COMMAND...
  local name=$1
  shift
  say "== $name"
  "$@" || failed+=("$name")
}

# Hundreds of processes are started from this folder: each would compile our code anew.
unset PYTHONDONTWRITEBYTECODE

need ssh openssh-server sshd
# Tests with Dropbear are skipped, with the reason, where it is not there.
has_program dropbear || apt_install dropbear-bin || true
need browser chromium chromium chromium-browser google-chrome

step "checks" scripts/lint.sh
# Each worker reads every test: what pytest makes of their asserts is made once, and kept beside them.
if [ $# = 0 ]; then "$VENV/bin/python" -m pytest --collect-only -qq >/dev/null 2>&1 & fi
step "browser part, unit tests" scripts/node.sh npm run --silent --prefix frontend test
wait
selection=$(printf ' and %s' ${markers[@]+"${markers[@]}"})
if [ ${#markers[@]} = 0 ]; then selection=""; fi
# Packages for devices are fetched once for all workers.
if [ -z "${PARTITION_STUDIO_TEST_CACHE:-}" ]; then
  PARTITION_STUDIO_TEST_CACHE=$(mktemp -d)
  export PARTITION_STUDIO_TEST_CACHE
  trap 'rm -rf "$PARTITION_STUDIO_TEST_CACHE"' EXIT
fi

# Where only some tests were asked for, none of them may be of the one kind; that is no failure.
asked=$#
run_pytest() { # ARGUMENTS...
  "$VENV/bin/python" -m pytest "$@" || { [ $? = 5 ] && [ "$asked" != 0 ]; }
}

# Half of the time is waiting: four workers, each with whole files, so that what a file sets up is set up once. The order
# of the files is that of tests/conftest.py.
step "pytest" run_pytest -n 4 --dist loadfile --no-loadscope-reorder -m "not alone$selection" "$@"
if [ "$asked" = 0 ]; then
  # To read the files that have no such test would take longer than the tests.
  # shellcheck disable=SC2046
  set -- $(grep -rlF --include='*.py' 'pytest.mark.alone' tests)
fi
step "pytest, alone" run_pytest -m "alone$selection" "$@"

if [ ${#failed[@]} != 0 ]; then
  say ""
  say "FAILED:"
  printf '  - %s\n' "${failed[@]}" >&2
  exit 1
fi
say "All checks and tests passed."
