# The scorer in a container.
#   docker build -t sent-score .                       on the CPU
#   docker build -t sent-score --build-arg CUDA=1 .    on NVIDIA GPUs: docker run --gpus all …
#   docker run --rm --user "$(id -u):$(id -g)" -v "$PWD:/work" sent-score \
#     data/films.parquet -o films-scored.parquet --model imdb-small
ARG PYTHON=3.13

FROM python:${PYTHON}-slim AS build
ARG CUDA=0
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY infer/ infer/
# The wheel for GPUs holds 270 MB that a CPU has no use for.
RUN python -m venv /opt/sent \
 && PIP="/opt/sent/bin/pip --no-cache-dir --disable-pip-version-check" \
 && if [ "$CUDA" = 1 ]; then \
      $PIP install -c constraints.txt '.[cuda,uri]'; \
    else \
      $PIP install -c constraints.txt '.[uri]' \
      && $PIP uninstall --yes onnxruntime-gpu \
      && $PIP install -c constraints.txt onnxruntime; \
    fi \
 && rm /opt/sent/bin/sent-export /opt/sent/bin/sent-report /opt/sent/bin/sent-train

FROM python:${PYTHON}-slim
COPY --from=build /opt/sent /opt/sent
ENV PATH=/opt/sent/bin:$PATH HOME=/tmp
USER 10001:10001
WORKDIR /work
ENTRYPOINT ["sent-score"]
CMD ["--help"]
