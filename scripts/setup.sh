#!/usr/bin/env bash
# Makes .venv with the studio in it: `scripts/setup.sh studio` to use it, `scripts/setup.sh dev` to work on it.
# PYTHON names the interpreter; without it the first Python 3.11 or newer is taken.
set -euo pipefail
source "$(dirname "$0")/common.sh"
cd "$ROOT"
kind=${1:-studio}
[ -f "requirements/$kind.txt" ] || die "usage: scripts/setup.sh studio|dev"

is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
  local candidate
  for candidate in ${PYTHON:+"$PYTHON"} python3 python3.13 python3.12 python3.11; do
    if command -v "$candidate" >/dev/null && is_new_enough "$candidate"; then
      command -v "$candidate"
      return
    fi
  done
  die "Python 3.11 or newer is needed, and none is in PATH. Install it (Debian, Ubuntu: apt install python3) or set PYTHON."
}

has_pip() { [ -x "$VENV/bin/python" ] && "$VENV/bin/python" -c 'import pip' 2>/dev/null; }

make_venv() {
  local python version
  python=$(find_python)
  version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  say "Making $VENV with Python $version"
  if "$python" -m venv --clear "$VENV" >/dev/null 2>&1 && has_pip; then return; fi
  # Debian and Ubuntu keep a part of Python's own venv in another package.
  if apt_install "python$version-venv" || apt_install python3-venv; then
    "$python" -m venv --clear "$VENV" && has_pip && return
  fi
  rm -rf "$VENV"
  die "Python's venv is not complete here. As root: apt install python3-venv. Then run this again."
}

has_pip && is_new_enough "$VENV/bin/python" || make_venv
pip=("$VENV/bin/python" -m pip --disable-pip-version-check --no-input)
"${pip[@]}" install --quiet --require-hashes -r requirements/pip.txt
say "Installing $(grep -c '==' "requirements/$kind.txt") packages into $VENV (the first time takes a minute or two)"
"${pip[@]}" install --quiet --require-hashes -r "requirements/$kind.txt"
"${pip[@]}" install --quiet --no-deps --no-build-isolation -e .
touch "$VENV/.studio-installed"
if [ "$kind" = dev ]; then touch "$VENV/.dev-installed"; fi
