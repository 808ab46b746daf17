#!/usr/bin/env bash
# The browser part: `packages` installs what it is built with, `build` writes it to where the studio serves it from.
set -euo pipefail
source "$(dirname "$0")/common.sh"
cd "$ROOT/frontend"
node() { "$ROOT/scripts/node.sh" "$@"; }

case ${1:-} in
  packages)
    say "Installing the packages of the browser part"
    # No package may run code of its own at installation; none of ours needs to.
    node npm ci --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error
    touch node_modules/.installed
    ;;
  build)
    say "Building the browser part"
    node npm run --silent build
    [ -s "$ROOT/backend/partition_studio/static/index.html" ] || die "the build wrote no static/index.html"
    touch "$ROOT/backend/partition_studio/static/index.html"
    ;;
  *) die "usage: scripts/frontend.sh packages|build" ;;
esac
