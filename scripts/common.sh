# Sourced by the other scripts: where the project is, what a person is told, and how system packages are installed.
# shellcheck shell=bash
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
VENV=${STUDIO_VENV:-$ROOT/.venv}

say() { printf '%s\n' "$*" >&2; }

die() {
  say "error: $*"
  exit 1
}

# Runs a command as root: directly, or by sudo when that needs no password. Fails when neither is possible.
as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    sudo -n "$@"
  else
    return 1
  fi
}

# Installs system packages where that is allowed. A service that a package brings is not started.
apt_install() {
  command -v apt-get >/dev/null || return 1
  as_root true || return 1
  say "Installing with apt: $*"
  local policy=/usr/sbin/policy-rc.d made=no result=0
  if [ ! -e "$policy" ]; then
    # 101 is Debian's "this action is not allowed".
    as_root sh -c "printf '#!/bin/sh\nexit 101\n' > $policy && chmod 755 $policy"
    made=yes
  fi
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" >&2 ||
    { as_root apt-get update >&2 &&
      as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" >&2; } ||
    result=1
  if [ "$made" = yes ]; then as_root rm -f "$policy"; fi
  return "$result"
}
