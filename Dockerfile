# One file, two images:
#   docker build --target cpu --tag infomax:cpu .
#   docker build --target gpu --tag infomax:gpu .
# Both run as user 10001 on a read-only root file system; only /data and /tmp have to be writable.

FROM python:3.11-slim-bookworm AS build
WORKDIR /build
RUN python -m venv /opt/infomax
# The same install steps as the Makefile's. The packages that a release depends on change less often
# than the release, so they make a layer of their own.
COPY serving.lock ./
RUN /opt/infomax/bin/python -m pip --disable-pip-version-check install --quiet --no-cache-dir \
    --require-hashes --requirement serving.lock
COPY LICENSE README.md pyproject.toml setup.py ./
COPY infomax infomax
COPY contract contract
COPY service service
COPY training training
RUN /opt/infomax/bin/python -m pip --disable-pip-version-check install --quiet --no-cache-dir --no-deps .

FROM python:3.11-slim-bookworm AS cpu
# PostgreSQL, which the embedded index starts, refuses to run as root or as a user without a name.
RUN groupadd --gid 10001 infomax \
    && useradd --uid 10001 --gid infomax --no-create-home --home-dir /data --shell /usr/sbin/nologin infomax \
    && install --directory --owner infomax --group infomax --mode 0700 /data
WORKDIR /srv/infomax
COPY --from=build /opt/infomax /opt/infomax
COPY models models
ENV PATH=/opt/infomax/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    INFOMAX_HOST=0.0.0.0 \
    INFOMAX_MODELS_DIR=/srv/infomax/models \
    INFOMAX_DATA_DIR=/data
USER 10001:10001
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["python", "-c", "\
import http.client, os, sys; \
connection = http.client.HTTPConnection('127.0.0.1', int(os.environ.get('INFOMAX_PORT') or 8000), timeout=4); \
connection.request('GET', '/readyz'); \
sys.exit(connection.getresponse().status != 200)"]
CMD ["infomax", "serve"]

# The CUDA 13 libraries that ONNX Runtime loads, without the rest of the toolkit. Of the host it needs
# an NVIDIA driver of branch 580 or newer and the NVIDIA container toolkit.
FROM nvidia/cuda:13.0.2-cudnn-runtime-ubuntu24.04 AS cuda
SHELL ["/bin/bash", "-euc"]
RUN mkdir /cuda \
    && cp --archive --target-directory=/cuda \
        /usr/local/cuda-13.0/targets/x86_64-linux/lib/lib{cublas,cublasLt,cudart,cufft,curand,nvJitLink,nvrtc}*.so* \
        /usr/lib/x86_64-linux-gnu/libcudnn*.so*

FROM cpu AS gpu
COPY --from=cuda /cuda /opt/cuda
ENV LD_LIBRARY_PATH=/opt/cuda \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    NVIDIA_REQUIRE_CUDA="cuda>=13.0" \
    CUDA_CACHE_PATH=/tmp/cuda
