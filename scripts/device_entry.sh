#!/bin/sh
# Runs one device of docker-compose.yml: an OpenSSH server that takes the studio's key only.
#   DEVICE_STATE     kept between starts: host key and the user's home        (default /device)
#   DEVICE_EXCHANGE  shared with the studio: its public key in, ours out      (default /exchange)
#   DEVICE_LISTEN, DEVICE_PORT   where to listen                              (default 0.0.0.0, 22)
#   DEVICE_USER      who may log in                                           (default edge)
# `device_entry.sh check` succeeds when the server greets.
set -eu
state=${DEVICE_STATE:-/device}
exchange=${DEVICE_EXCHANGE:-/exchange}
listen=${DEVICE_LISTEN:-0.0.0.0}
port=${DEVICE_PORT:-22}
user=${DEVICE_USER:-edge}
PATH=$PATH:/usr/sbin:/usr/local/sbin

if [ "${1:-}" = check ]; then
  exec python3 -c 'import socket, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=3) as server:
    sys.exit(server.recv(4) != b"SSH-")' "$port"
fi

umask 022
mkdir -p "$state"
if [ ! -s "$state/host_key" ]; then
  ssh-keygen -q -t ed25519 -N '' -C "$user" -f "$state/host_key.new"
  mv "$state/host_key.new.pub" "$state/host_key.pub"
  mv "$state/host_key.new" "$state/host_key"
fi
# The studio believes this file and nothing that it merely sees on the network.
cp "$state/host_key.pub" "$exchange/.host_key.new"
mv "$exchange/.host_key.new" "$exchange/host_key.pub"

cat >"$state/sshd_config" <<CONFIG
ListenAddress $listen
Port $port
HostKey $state/host_key
PidFile none
AllowUsers $user
# Read at each login: the studio may write it after this server has started.
AuthorizedKeysFile $exchange/studio.pub
# The studio's user is unknown here and owns that file, in a folder that both may write to.
StrictModes no
AuthenticationMethods publickey
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
UsePAM no
X11Forwarding no
AllowAgentForwarding no
MaxSessions 20
LogLevel INFO
CONFIG
if [ "$(id -u)" = 0 ]; then
  mkdir -p /run/sshd
  home=$(getent passwd "$user" | cut -d: -f6)
  case $home in
    # A new volume belongs to root, and the user's home in it is still to be made.
    "$state"/*) [ -d "$home" ] || { mkdir "$home" && chown "$user:" "$home"; } ;;
  esac
fi
exec "$(command -v sshd)" -D -e -f "$state/sshd_config"
