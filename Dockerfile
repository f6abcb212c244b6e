# The loader and the dbt project, for `ringostat run` on a schedule: see docs/hosting.md.
#
#     docker build --tag ringostat-marts .
#     docker run --rm --shm-size 256m ringostat-marts ringostat demo

FROM python:3.12-slim-bookworm AS build
WORKDIR /opt/ringostat-marts
# First what changes least: a rebuild takes it from the cache.
COPY requirements.lock ./
RUN python -m venv /opt/venv
RUN /opt/venv/bin/pip install --no-cache-dir --require-hashes --only-binary :all: -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY loader loader
RUN /opt/venv/bin/pip install --no-cache-dir --no-deps --no-build-isolation --editable .
RUN /opt/venv/bin/python -m compileall -q loader
RUN /opt/venv/bin/pip uninstall --yes setuptools pip


FROM python:3.12-slim-bookworm
RUN python -m pip uninstall --yes --root-user-action ignore pip
RUN useradd --uid 10001 --user-group --create-home --home-dir /var/lib/ringostat \
    --shell /usr/sbin/nologin ringostat
WORKDIR /opt/ringostat-marts
COPY --from=build /opt/venv /opt/venv
COPY --from=build /opt/ringostat-marts ./
COPY dbt_project.yml profiles.example.yml .env.example ./
COPY models models
COPY macros macros
COPY packages packages
COPY seeds seeds
COPY tests/dbt tests/dbt
COPY hosting/repository hosting/repository
COPY hosting/github-actions hosting/github-actions
COPY hosting/docker/ringostat hosting/docker/with-secrets hosting/docker/every /usr/local/bin/
# The demo's Postgres is in here; a run has a PGHOST, and writes to /var/lib/ringostat alone.
RUN mkdir .postgres && chown ringostat:ringostat .postgres

ENV PATH=/usr/local/bin:/opt/venv/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    DBT_TARGET_PATH=/var/lib/ringostat/target \
    DBT_LOG_PATH=/var/lib/ringostat/logs \
    RINGOSTAT_SEEDS=/config/seeds \
    RINGOSTAT_VARS=/config/vars.yml \
    PGHOST=postgres
USER 10001:10001
CMD ["ringostat", "--help"]
