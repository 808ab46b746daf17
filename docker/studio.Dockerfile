# The studio, made by the same scripts as `make demo`. Node.js stays in the first stage.
FROM debian:12-slim AS python
RUN apt-get update \
    && apt-get install -y --no-install-recommends openssh-client python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /studio
COPY pyproject.toml README.md LICENSE ./
COPY requirements requirements
COPY scripts scripts
COPY agents agents
COPY backend backend
RUN scripts/setup.sh studio

FROM python AS browser
COPY frontend frontend
RUN scripts/frontend.sh packages && scripts/frontend.sh build

FROM python
COPY --from=browser /studio/backend/partition_studio/static backend/partition_studio/static
RUN useradd --uid 1000 --create-home studio \
    && install -d -o studio -g studio -m 700 /data \
    && install -d -m 1777 /exchange/device1 /exchange/device2 /exchange/device3 \
    && ln -s /studio/.venv/bin/partition-studio /usr/local/bin/partition-studio
USER studio
ENV PARTITION_STUDIO_DATA_DIR=/data
EXPOSE 8400
ENTRYPOINT ["/studio/scripts/compose_studio.sh"]
