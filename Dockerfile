# The order service in an image: `docker build .` makes `service`, `docker build --target tests .` what tests it.
# Nothing is downloaded but the base image and what requirements/*.txt lock with hashes.

# An exact tag; to pin the bytes, too, add the digest that `docker buildx imagetools inspect` shows.
FROM python:3.13.5-slim-bookworm AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
RUN ["python", "-m", "venv", "/opt/orders"]
# First what seldom changes. Wheels only, so that no compiler is needed in any stage.
COPY requirements/run.txt requirements/
RUN ["/opt/orders/bin/pip", "install", "--require-hashes", "--only-binary", ":all:", "--requirement", "requirements/run.txt"]
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN ["/opt/orders/bin/pip", "install", "--no-index", "--no-deps", "--no-build-isolation", "."]


# What a service that runs is tested with: `docker compose --profile test up`.
FROM build AS tests
COPY requirements/dev.txt requirements/
RUN ["/opt/orders/bin/pip", "install", "--require-hashes", "--only-binary", ":all:", "--requirement", "requirements/dev.txt"]
COPY docs/reference/metrics.md docs/reference/
COPY tests tests
ENV PATH=/opt/orders/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
ENTRYPOINT ["pytest", "-p", "no:cacheprovider"]


FROM python:3.13.5-slim-bookworm AS service

LABEL org.opencontainers.image.title="Order service" \
      org.opencontainers.image.description="Durable trading orders over REST, placed at an unreliable exchange" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0"

# A number, so that an orchestrator can see that it is not root. The two folders are for volumes: what the simulated
# exchange has heard, and the keys that the first start makes.
RUN ["install", "--directory", "--owner=10001", "--group=10001", "--mode=0755", "/var/lib/orders", "/var/lib/orders-keys"]
COPY --from=build /opt/orders /opt/orders

ENV PATH=/opt/orders/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    ENVIRONMENT=production \
    ORDERS_DATA_DIR=/var/lib/orders
USER 10001:10001
WORKDIR /var/lib/orders
# The API's, with LISTEN=0.0.0.0:8000. It refuses that without AUTHENTICATION and TLS, or the proxy that TRUSTED_PROXY
# names; so no part listens beyond its container by default.
EXPOSE 8000
STOPSIGNAL SIGTERM
# Of the API; the other parts have none to ask, and switch it off in compose.yaml.
HEALTHCHECK --interval=5s --timeout=4s --start-period=60s --retries=3 \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/health/ready', timeout=3)"]
ENTRYPOINT ["orders"]
CMD ["api"]
