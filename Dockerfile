# kbqa with its default model, on CPUs; `docker compose up` starts it together with Qdrant.
#
#   docker build -t kbqa .
#
# torch comes with the packages and is several GB for GPUs: give pip an index with its build for
# CPUs to get a small image, docker build --build-arg PIP_EXTRA_INDEX_URL=...

FROM python:3.12-slim-bookworm AS build
ARG PIP_EXTRA_INDEX_URL=
ENV PIP_EXTRA_INDEX_URL=${PIP_EXTRA_INDEX_URL} \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
COPY pyproject.toml constraints.txt README.md ./
COPY ingest ingest
COPY retrieval retrieval
COPY qa qa
# at the end the model is converted, once, for every container; what bases teach it goes to /data
RUN python -m venv /opt/kbqa \
    && /opt/kbqa/bin/pip install -c constraints.txt ".[otel]" \
    && /opt/kbqa/bin/python -c \
    "from pathlib import Path; from retrieval.minilm import ensure_graph; ensure_graph(Path('/opt/kbqa/cache'))"

FROM python:3.12-slim-bookworm
COPY --from=build /opt/kbqa /opt/kbqa
RUN useradd --uid 10001 --create-home --shell /usr/sbin/nologin kbqa \
    && install -d -o kbqa -g kbqa -m 700 /data
ENV PATH=/opt/kbqa/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    KBQA_DATA_DIR=/data \
    KBQA_CACHE_DIR=/data/.cache \
    KBQA_SERVE_HOST=0.0.0.0 \
    KBQA_SERVE_PORT=8765 \
    KBQA_SERVE_LOG=json
USER 10001
WORKDIR /data
VOLUME /data
EXPOSE 8765
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8765/health/ready', timeout=4)"]
ENTRYPOINT ["kbqa"]
CMD ["serve"]
