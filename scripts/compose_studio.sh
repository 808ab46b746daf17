#!/usr/bin/env bash
# Runs the studio of docker-compose.yml and registers its devices: `compose_studio.sh NAME=ssh://USER@HOST[:PORT]...`
#   PARTITION_STUDIO_DATA_DIR  the studio's data, and the private key that opens the devices
#   STUDIO_EXCHANGE            holds a folder per device: our public key in, its host key out   (default /exchange)
#   STUDIO_HOST, STUDIO_PORT   where to listen                                                  (default 0.0.0.0, 8400)
set -euo pipefail
source "$(dirname "$0")/common.sh"
data=${PARTITION_STUDIO_DATA_DIR:?must name a folder}
exchange=${STUDIO_EXCHANGE:-/exchange}
key=$data/device_key
studio=$VENV/bin/partition-studio

mkdir -p "$data"
chmod 700 "$data"
[ -s "$key" ] || ssh-keygen -q -t ed25519 -N '' -C partition-studio -f "$key"
for device in "$@"; do
  cp "$key.pub" "$exchange/${device%%=*}/.studio.new"
  mv "$exchange/${device%%=*}/.studio.new" "$exchange/${device%%=*}/studio.pub"
done

"$studio" serve --host "${STUDIO_HOST:-0.0.0.0}" --port "${STUDIO_PORT:-8400}" --allow-host 127.0.0.1 --allow-host localhost &
server=$!
trap 'kill -TERM "$server" 2>/dev/null || true' TERM INT

listed=
for ((attempt = 0; attempt < 60; attempt++)); do
  if listed=$("$studio" device list --json 2>/dev/null); then break; fi
  kill -0 "$server" 2>/dev/null || wait "$server" || exit
  sleep 0.5
done
[ -n "$listed" ] || die "the studio did not start"
known=$("$VENV/bin/python" -c 'import json, sys; print(*("[%s]" % d["name"] for d in json.load(sys.stdin)))' <<<"$listed")

for device in "$@"; do
  name=${device%%=*} address=${device#*=}
  case $known in *"[$name]"*) continue ;; esac
  # The fingerprint comes from the device's own file, not from the network: a stranger in between is refused.
  if [ ! -s "$exchange/$name/host_key.pub" ]; then
    say "device $name has not written its host key; add it in the browser when it runs"
    continue
  fi
  fingerprint=$(ssh-keygen -lf "$exchange/$name/host_key.pub" | cut -d' ' -f2)
  "$studio" device add "$name" "$address" --key "$key" --trust "$fingerprint" ||
    say "device $name could not be added; the studio runs without it"
done
say "The studio runs at http://127.0.0.1:${STUDIO_PORT:-8400}; for a one-time link: docker compose exec studio partition-studio link"

# The first wait ends early when a signal comes; the second gives the server's own exit status.
wait "$server" || true
wait "$server"
