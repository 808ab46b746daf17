# A board with Python and an SSH server, and nothing else: the studio installs its agent on it as on any other.
FROM debian:12-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends openssh-server python3 \
    && rm -rf /var/lib/apt/lists/* /etc/ssh/ssh_host_*
# '*' is no password and, unlike '!', no lock: the user logs in by key only.
RUN useradd --uid 1000 --no-create-home --home-dir /device/home --shell /bin/sh --password '*' edge \
    && install -d -m 755 /device && install -d -m 1777 /exchange
COPY scripts/device_entry.sh /usr/local/bin/device_entry.sh
ENTRYPOINT ["/usr/local/bin/device_entry.sh"]
