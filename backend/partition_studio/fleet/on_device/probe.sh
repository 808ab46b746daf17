# Looks at a device; sent to `sh -s` on stdin. Needs no Python: finds one, and lets it tell the rest.
# Every line for the studio is "partition-studio<TAB>key<TAB>value"; logins print other things.
LC_ALL=C; export LC_ALL
T=$(printf '\t')
say() { printf 'partition-studio\t%s\t%s\n' "$1" "$2"; }
say home "$HOME"
say system "$(uname -s 2>/dev/null)"
say machine "$(uname -m 2>/dev/null)"
say kernel "$(uname -r 2>/dev/null)"
say bits "$(getconf LONG_BIT 2>/dev/null)"
# A program of this very system says by its ELF class what the loader loads: 1 is 32-bit, 2 is 64-bit.
say elf_class "$(od -An -tu1 -j4 -N1 /proc/self/exe 2>/dev/null | tr -d ' ')"
say libc "$(getconf GNU_LIBC_VERSION 2>/dev/null || ldd --version 2>&1 | head -n 2 | tr '\n' ' ')"
for loader in /lib/ld-musl-*; do [ -e "$loader" ] && say musl_loader "$loader"; done
if [ -r /etc/os-release ]; then say os_release "$(. /etc/os-release; printf '%s' "${PRETTY_NAME:-$NAME $VERSION_ID}")"; fi
version='import sys,platform,struct
print("%d.%d.%d %s %d %s" % (sys.version_info[0], sys.version_info[1], sys.version_info[2],
  platform.python_implementation(), struct.calcsize("P") * 8, sys.executable))'
# A Python that never answers must not take the whole check with it. Old busybox knows another `timeout`.
if timeout 5 true >/dev/null 2>&1; then within() { timeout "$@"; }; else within() { shift; "$@"; }; fi
chosen=$PYTHON
[ -n "$chosen" ] || for minor in 14 13 12 11 10 9 8 7 6 any; do
  name=python3.$minor; [ "$minor" = any ] && name=python3
  for folder in $(printf '%s' "$PATH" | tr ':' ' ') /usr/local/bin /usr/bin "$HOME/.local/bin" "$HOME"/.pyenv/versions/3.*/bin /opt/python*/bin; do
    path=$folder/$name
    [ -x "$path" ] || continue
    # pyenv's shims start a Python that is found in its own folder anyway, or complain.
    case "$path" in */.pyenv/shims/*) continue ;; esac
    case "$T$seen$T" in *"$T$path$T"*) continue ;; esac
    seen=$seen$T$path
    if answer=$(within 10 "$path" -I -c "$version" 2>/dev/null </dev/null); then say python "$answer"; else say python_broken "$path"; continue; fi
    case "$answer" in 3.[6-9].*|3.[1-9][0-9].*) [ -n "$chosen" ] || chosen=$path ;; esac
  done
done
without_python() {
  folder=${BASE:-$HOME/.local/share/partition-studio}
  while [ ! -d "$folder" ] && [ "$folder" != / ] && [ "$folder" != . ]; do folder=$(dirname "$folder"); done
  if [ -w "$folder" ]; then say writable 1; else say writable 0; fi
  say disk_free_bytes "$(df -Pk "$folder" 2>/dev/null | awk 'NR==2 {printf "%.0f", $4 * 1024}')"
  say memory_total_bytes "$(awk '/^MemTotal:/ {printf "%.0f", $2 * 1024}' /proc/meminfo 2>/dev/null)"
  say memory_available_bytes "$(awk '/^MemAvailable:/ {printf "%.0f", $2 * 1024}' /proc/meminfo 2>/dev/null)"
  say cores "$(nproc 2>/dev/null || getconf _NPROCESSORS_ONLN 2>/dev/null)"
  say model "$(tr -d '\0' 2>/dev/null </proc/device-tree/model || cat /sys/class/dmi/id/product_name 2>/dev/null)"
  say addresses "$(ip -o addr show scope global 2>/dev/null | awk '{sub("/.*", "", $4); print $4}' | tr '\n' ' ')"
}
# A Python that is there and does not work is as good as none.
[ -n "$chosen" ] && within 40 "$chosen" -I -c "$START" "${BASE:-$HOME/.local/share/partition-studio}" </dev/null || without_python
say clock_end "$(date +%s.%N 2>/dev/null)"
