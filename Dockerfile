# syntax=docker/dockerfile:1
# One file for every image:
#
#     docker build . --build-arg PACKAGE=balancer|gateway|core
#     docker build . --build-arg PACKAGE=... --target symbols --output symbols     # for reading a crash: docs/images.md
#
# core is the gateway program in the core's role: with `server.enable: false` in its main.json, the retired core.
# docs/images.md describes the images. Nothing here names a processor: the file builds on amd64 and on arm64.
ARG PACKAGE=balancer
ARG SWIFT_IMAGE=swift:6.3.1-bookworm
ARG RUNTIME_IMAGE=debian:bookworm-slim
ARG MONGO_IMAGE=mongo:7.0.28

# --- dependencies: fetched and compiled without the project's own sources, so that a change of those keeps this layer
FROM ${SWIFT_IMAGE} AS dependencies
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
# Debian removes a version from its mirrors when the next one is out: a pinned one would break the build.
# hadolint ignore=DL3008
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        binutils jq libbrotli-dev libbson-dev libcrypt-dev libmongoc-dev libnghttp2-dev libsqlite3-dev libssl-dev libzstd-dev pkg-config python3 zlib1g-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /source
# Package.versions fixes the versions, and Package.resolved, where there is one, the commits.
COPY Package.swift Package.versions Package.resolve[d] ./
COPY scripts/packages.py scripts/
# The targets that are not Swift are small and change with the Debian packages above, not with the code.
COPY Sources/CCompression Sources/CCompression
COPY Sources/CCrypt Sources/CCrypt
COPY Sources/CDashboard Sources/CDashboard
COPY Sources/CEpoll Sources/CEpoll
COPY Sources/CFoundationStandIn Sources/CFoundationStandIn
COPY Sources/CMongoC Sources/CMongoC
COPY Sources/CNGHTTP2 Sources/CNGHTTP2
COPY Sources/COpenSSL Sources/COpenSSL
COPY Sources/CSQLite Sources/CSQLite
COPY Sources/CSwaggerUI Sources/CSwaggerUI
COPY Sources/CZlib Sources/CZlib
COPY Sources/CAllocator Sources/CAllocator
# Every other target that Package.swift names gets an empty source, so that the package graph is whole.
RUN swift package dump-package >/tmp/package.json \
    && jq -r '.targets[] | select(.type != "system") \
            | .type + " " + (.path // (if .type == "test" then "Tests/" else "Sources/" end) + .name)' /tmp/package.json \
        | while read -r type folder; do \
            if [[ -e $folder ]]; then continue; fi; \
            mkdir -p "$folder"; \
            text="// nothing yet"; \
            if [[ $type == executable ]]; then text="@main struct Placeholder { static func main() {} }"; fi; \
            echo "$text" >"$folder/Placeholder.swift"; \
        done
RUN --mount=type=cache,target=/root/.cache/org.swift.swiftpm,sharing=locked \
    swift package resolve \
    && python3 scripts/packages.py --hold \
    && swift build -c release --static-swift-stdlib --product balancer \
    && swift build -c release --static-swift-stdlib --product gateway

# --- build: the project's own modules
FROM dependencies AS sources
COPY Sources Sources
COPY scripts/strip-apart.sh scripts/
RUN find Sources -name Placeholder.swift -delete

# Beside each program the toolchain's own, which tells where it was when it crashed; it needs nothing of the toolchain.
FROM sources AS build-balancer
RUN swift build -c release --static-swift-stdlib --product balancer \
    && scripts/strip-apart.sh .build/release/balancer /out /symbols \
    && cp "$(dirname "$(readlink -f "$(command -v swift)")")/../libexec/swift/linux/swift-backtrace-static" /out/

FROM sources AS build-gateway
RUN swift build -c release --static-swift-stdlib --product gateway \
    && scripts/strip-apart.sh .build/release/gateway /out /symbols \
    && cp "$(dirname "$(readlink -f "$(command -v swift)")")/../libexec/swift/linux/swift-backtrace-static" /out/

# --- symbols: apart from the images, by the programs' build ids; `--target symbols --output FOLDER`
FROM scratch AS symbols-balancer
COPY --from=build-balancer /symbols/ /

FROM scratch AS symbols-gateway
COPY --from=build-gateway /symbols/ /

FROM symbols-gateway AS symbols-core

# hadolint ignore=DL3006
FROM symbols-${PACKAGE} AS symbols

# --- final: the program and the shared libraries that it names
FROM ${RUNTIME_IMAGE} AS final-balancer
# A bare Debian base lacks the C++ runtime; where it is there already this installs nothing. An older libnghttp2 may not be: a peer
# can end its process (CVE-2026-27135).
# hadolint ignore=DL3008
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends libnghttp2-14 ca-certificates libbrotli1 libcrypt1 libsqlite3-0 libssl3 libstdc++6 libzstd1 tzdata zlib1g \
    && dpkg --compare-versions "$(dpkg-query -W -f='${Version}' libnghttp2-14)" ge 1.52.0-1+deb12u3 \
    && rm -rf /var/lib/apt/lists/* \
    && mkdir -p /code/packages/balancer/config
COPY --from=build-balancer /out/ /opt/otv/
COPY LICENSE /usr/share/doc/otv/LICENSE
ENV PATH=/opt/otv:$PATH \
    SWIFT_BACKTRACE=enable=yes,swift-backtrace=/opt/otv/swift-backtrace-static,interactive=no,color=no,threads=all,sanitize=no
WORKDIR /code/packages/balancer
# The admin API's port is not named: it has no authentication, and `docker run -P` publishes what is.
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 CMD ["balancer", "health"]
ENTRYPOINT ["balancer"]
CMD ["serve", "--config", "config/routes.json"]

FROM ${RUNTIME_IMAGE} AS runtime-gateway
# The certificates are for databases that are reached over TLS.
# hadolint ignore=DL3008
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        ca-certificates libbrotli1 libbson-1.0-0 libmongoc-1.0-0 libsqlite3-0 libstdc++6 libzstd1 zlib1g \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build-gateway /out/ /opt/otv/
COPY LICENSE /usr/share/doc/otv/LICENSE
# That of the page's files, which are in the program.
COPY Sources/CSwaggerUI/Assets/LICENSE /usr/share/doc/otv/LICENSE.swagger-ui
# The driver's counters are read by nobody. A killed process leaves them in /dev/shm, and the next one of its number, which in a
# container is the same, would begin its log with a warning of the driver's that is no JSON.
ENV PATH=/opt/otv:$PATH \
    MONGOC_DISABLE_SHM=1 \
    SWIFT_BACKTRACE=enable=yes,swift-backtrace=/opt/otv/swift-backtrace-static,interactive=no,color=no,threads=all,sanitize=no

FROM runtime-gateway AS final-gateway
RUN mkdir -p /code/packages/gateway/config
WORKDIR /code/packages/gateway
EXPOSE 3301
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 CMD ["gateway", "health"]
ENTRYPOINT ["gateway"]
CMD ["serve", "--config", "config"]

FROM runtime-gateway AS final-core
RUN mkdir -p /code/packages/core/config
WORKDIR /code/packages/core
EXPOSE 3300
# Through a shell: GATEWAY_PORT moves the server and its check alike.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 \
    CMD ["sh", "-c", "exec gateway health --port ${GATEWAY_PORT:-3300}"]
ENTRYPOINT ["gateway"]
CMD ["serve", "--role", "core", "--config", "config"]

# --- the other two programs of the split architecture
# hadolint ignore=DL3006
FROM ${RUNTIME_IMAGE} AS refusal
RUN echo "PACKAGE=worker and PACKAGE=telemetry are the programme's own programs, whose sources are not here:" \
        "build them in w3f/1k-validators-be, and name them to the charts by otv-worker.image and otv-telemetry.image" >&2 \
    && exit 1

FROM refusal AS final-worker

FROM refusal AS final-telemetry

# --- for trying out only, `--target seed`: the gateway's sample data, ready to be put into a MongoDB
FROM runtime-gateway AS sample
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
# hadolint ignore=DL3008
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends sqlite3 xxd \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /seed/test
RUN gateway sample --to /tmp/sample.sqlite \
        | while IFS=: read -r collection _; do \
            sqlite3 /tmp/sample.sqlite "select hex(body) from \"$collection\" order by seq" \
                | xxd -r -p >"$collection.bson"; \
        done

FROM ${MONGO_IMAGE} AS seed
COPY --from=sample /seed/ /seed/
USER 65532:65532
ENTRYPOINT ["mongorestore"]
CMD ["--uri=mongodb://mongo:27017", "--drop", "--dir=/seed"]

# --- the image that is published
# hadolint ignore=DL3006
FROM final-${PACKAGE} AS final
ARG PACKAGE
ARG RUNTIME_IMAGE
ARG VERSION=0.0.0
ARG REVISION=unknown
ARG SOURCE=https://github.com/w3f/1k-validators-be
LABEL org.opencontainers.image.title="otv-${PACKAGE}" \
    org.opencontainers.image.description="${PACKAGE} of the 1k-validators programme's REST endpoint" \
    org.opencontainers.image.source="${SOURCE}" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.base.name="${RUNTIME_IMAGE}" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}"
STOPSIGNAL SIGTERM
# A number, so that Kubernetes can see that it is not root. Nothing is written but standard output and error.
USER 65532:65532
