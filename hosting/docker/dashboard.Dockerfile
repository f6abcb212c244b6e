# The dashboard of the marts, which `docker compose --profile dashboard` serves: see docs/hosting.md.
#
#     docker build --file hosting/docker/dashboard.Dockerfile --tag ringostat-dashboard .

FROM python:3.12-slim-bookworm
RUN useradd --uid 10001 --user-group --create-home --home-dir /var/lib/superset \
    --shell /usr/sbin/nologin superset
WORKDIR /opt/ringostat-marts
RUN python -m venv /opt/venv
# First what changes least: a rebuild takes it from the cache.
COPY bi/requirements.lock bi/
RUN /opt/venv/bin/pip install --no-cache-dir --require-hashes -r bi/requirements.lock
COPY loader loader
COPY bi bi
COPY hosting/docker/with-secrets /usr/local/bin/

ENV PATH=/usr/local/bin:/opt/venv/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
CMD ["with-secrets", "python", "bi/superset/serve.py", "--host", "0.0.0.0", "--home", "/var/lib/superset"]
