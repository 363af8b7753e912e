# syntax=docker/dockerfile:1
#
#   docker build --tag lease-service .                              the service
#   docker build --tag lease-front-end --target front-end .         the example front-end

# The Python that the tests run on, in Debian's slim image: it has no compiler.
ARG PYTHON=3.11-slim-bookworm
ARG VERSION=0.1.0


FROM python:${PYTHON} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
COPY requirements/image-build.lock requirements/image.lock requirements/
# Everything becomes a wheel, by its hash; nothing is compiled, and only the bundles are packed here.
RUN pip install --require-hashes --only-binary=:all: --requirement requirements/image-build.lock \
  && pip wheel --require-hashes --only-binary=:all: --no-binary=openapi-ui-bundles \
    --no-build-isolation --wheel-dir /wheels --requirement requirements/image.lock
ARG VERSION
COPY pyproject.toml README.md LICENSE ./
COPY lua/ lua/
COPY service/ service/
# What runs is in /opt/lease, from the wheels alone; what built them stays behind.
RUN python -m hatchling build --target wheel --directory /wheels \
  && python -m venv --without-pip /opt/lease \
  && pip --python /opt/lease/bin/python install --no-index --find-links /wheels \
    "lease-service[tracing]==${VERSION}"


FROM build AS build-front-end
ARG VERSION
RUN pip --python /opt/lease/bin/python install --no-index --find-links /wheels \
    "lease-service[tracing,front-end]==${VERSION}"


# What both images have: Python, and a user who owns nothing and can write nowhere.
FROM python:${PYTHON} AS base
ENV PATH=/opt/lease/bin:${PATH} PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 10001:10001


FROM base AS front-end
ARG VERSION
LABEL org.opencontainers.image.title="lease-front-end" \
  org.opencontainers.image.description="An example Open Booking API server on the lease service." \
  org.opencontainers.image.licenses="MIT" \
  org.opencontainers.image.version="${VERSION}"
COPY --from=build-front-end /opt/lease /opt/lease
WORKDIR /opt/front-end
COPY examples/ examples/
EXPOSE 8081
# Its database is in a folder of its own under /tmp, which has to be writable.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
  CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8081/openactive', timeout=2)"]
ENTRYPOINT ["python", "-m", "examples.booking_front_end"]


FROM base AS service
ARG VERSION
LABEL org.opencontainers.image.title="lease-service" \
  org.opencontainers.image.description="Holds spaces while a Customer decides: leases for the OpenActive Open Booking API." \
  org.opencontainers.image.licenses="MIT" \
  org.opencontainers.image.version="${VERSION}"
COPY --from=build /opt/lease /opt/lease
# The API is on 127.0.0.1:8080 until LEASE_LISTEN says otherwise: a sidecar needs no more.
ENV LEASE_ADMIN_LISTEN=0.0.0.0:9090
EXPOSE 8080 9090
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
  CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:9090/livez', timeout=2)"]
ENTRYPOINT ["lease-service"]
CMD ["serve"]
