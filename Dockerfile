# The server on a CPU:     docker build --target cpu -t media-server .
# The server on an NVIDIA GPU:  docker build --target cuda -t media-server:cuda .
#
# llama.cpp is compiled once, in a layer of its own. Wheels in wheelhouse/ (make wheelhouse) are used in place of that.

ARG BASE=debian:bookworm-slim
ARG CUDA_BUILD=nvidia/cuda:12.6.3-cudnn-devel-ubuntu24.04
ARG CUDA_BASE=nvidia/cuda:12.6.3-cudnn-runtime-ubuntu24.04

FROM ${BASE} AS build-cpu
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3-venv python3-dev g++ cmake ninja-build git \
    && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv /opt/media-server
WORKDIR /src
COPY constraints.txt pyproject.toml wheelhouse* wheelhouse/
# for any x86-64 of the last ten years, not only for one like the builder's
ENV CMAKE_ARGS="-DGGML_NATIVE=OFF -DGGML_AVX2=ON -DGGML_FMA=ON -DGGML_F16C=ON"
RUN /opt/media-server/bin/pip install --no-cache-dir --constraint wheelhouse/constraints.txt \
    --find-links wheelhouse llama-cpp-python
COPY . .
RUN /opt/media-server/bin/pip install --no-cache-dir --constraint constraints.txt --find-links wheelhouse \
    '.[postgresql,tracing]'

FROM ${CUDA_BUILD} AS build-cuda
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3-venv python3-dev g++ cmake ninja-build git \
    && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv /opt/media-server
WORKDIR /src
COPY constraints.txt pyproject.toml ./
ENV CMAKE_ARGS="-DGGML_CUDA=ON -DGGML_NATIVE=OFF -DGGML_AVX2=ON -DGGML_FMA=ON -DGGML_F16C=ON"
# the compiler finds the driver's library in the stubs; on the machine that runs the image it is the driver's own
RUN ln -s /usr/local/cuda/lib64/stubs/libcuda.so /usr/local/cuda/lib64/stubs/libcuda.so.1 \
    && LD_LIBRARY_PATH=/usr/local/cuda/lib64/stubs /opt/media-server/bin/pip install --no-cache-dir \
    --constraint constraints.txt llama-cpp-python
COPY . .
# from 1.27 on onnxruntime-gpu is for CUDA 13, which CTranslate2 is not
RUN /opt/media-server/bin/pip install --no-cache-dir --constraint constraints.txt '.[postgresql,tracing]' \
    && /opt/media-server/bin/pip uninstall -y onnxruntime \
    && /opt/media-server/bin/pip install --no-cache-dir 'onnxruntime-gpu>=1.21,<1.27'

FROM ${CUDA_BASE} AS cuda
RUN apt-get update && apt-get install -y --no-install-recommends python3 libgomp1 && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /data --create-home media-server
COPY --from=build-cuda /opt/media-server /opt/media-server
ENV PATH=/opt/media-server/bin:$PATH MEDIA_SERVER_HOST=0.0.0.0 MEDIA_SERVER_DEVICE=cuda
USER media-server
WORKDIR /data
VOLUME /data
EXPOSE 8080/tcp 8081/udp 8081/tcp
HEALTHCHECK --interval=10s --start-period=120s --retries=3 \
    CMD ["python3", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/healthz', timeout=3)"]
ENTRYPOINT ["media-server"]
CMD ["serve"]

FROM ${BASE} AS cpu
RUN apt-get update && apt-get install -y --no-install-recommends python3 libgomp1 && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /data --create-home media-server
COPY --from=build-cpu /opt/media-server /opt/media-server
ENV PATH=/opt/media-server/bin:$PATH MEDIA_SERVER_HOST=0.0.0.0
USER media-server
WORKDIR /data
VOLUME /data
EXPOSE 8080/tcp 8081/udp 8081/tcp
HEALTHCHECK --interval=10s --start-period=60s --retries=3 \
    CMD ["python3", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/healthz', timeout=3)"]
ENTRYPOINT ["media-server"]
CMD ["serve"]
