# The two commands of a newcomer are `make demo` and `make test`. Everything is installed into .venv
# from lock files with hashes; nothing else is needed but Python 3.10+ and make.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check

# Where a virtual environment was moved with its folder: the programs in there name the old path.
moved = $(if $(wildcard $1),$(shell grep -qsF '$(realpath $1)/bin/python' $1/bin/pip || echo moved))

.PHONY: help demo bench bi docs install test test-all test-bi test-citus test-hosting citus-is-named lint lock lock-bench lock-bi clean distclean moved

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 13

demo: .venv/installed ## load a bundled sandbox account, build the marts, show them
	@$(BIN)/python -m loader demo

bi: .venv-bi/installed ## the dashboard of the marts, on http://127.0.0.1:8088; PORT=8090 for another port
	@$(BIN)/python -m bi.warehouse .venv-bi/bin/python bi/superset/serve.py $(if $(PORT),--port '$(PORT)')

docs: .venv/installed ## the project's documentation as one page, site/index.html
	@$(BIN)/python -m bi.docs

bench: .venv-bench/installed ## measure against dlt, a Singer target and a bare COPY
	@$(BIN)/python -m benchmarks.run

install: .venv/installed ## set up .venv, so that .venv/bin/ringostat works

.venv/installed: requirements.lock pyproject.toml $(call moved,.venv)
	@test -z '$(call moved,.venv)' || rm -rf .venv
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.10 or newer is needed, this is " + sys.version.split()[0] + ": make PYTHON=python3.12 ..." if sys.version_info < (3, 10) else 0)'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || { echo 'On Debian and Ubuntu: apt-get install python3-venv' >&2; rm -rf .venv; exit 2; }
	@echo 'Installing into .venv ...' >&2
	@$(PIP) install --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

.venv-bi/installed: bi/requirements.lock .venv/installed $(call moved,.venv-bi)
	@test -z '$(call moved,.venv-bi)' || rm -rf .venv-bi
	@$(PYTHON) -c 'import sys; sys.exit("Superset needs Python 3.10 to 3.12, this is " + sys.version.split()[0] + ": make $(MAKECMDGOALS) PYTHON=python3.12" if sys.version_info >= (3, 13) else 0)'
	@test -x .venv-bi/bin/python || $(PYTHON) -m venv .venv-bi
	@echo 'Installing Superset into .venv-bi ...' >&2
	@.venv-bi/bin/python -m pip --quiet --disable-pip-version-check install --require-hashes -r bi/requirements.lock
	@touch $@

.venv-bench/installed: benchmarks/requirements.lock .venv/installed $(call moved,.venv-bench)
	@test -z '$(call moved,.venv-bench)' || rm -rf .venv-bench
	@test -x .venv-bench/bin/python || $(PYTHON) -m venv .venv-bench
	@echo 'Installing what landing is compared with into .venv-bench ...' >&2
	@.venv-bench/bin/python -m pip --quiet --disable-pip-version-check install --require-hashes -r benchmarks/requirements.lock
	@touch $@

# Not locked, and nothing but a test uses them: they have hundreds of packages.
.venv-dagster/installed .venv-airflow/installed: .venv-%/installed: hosting/%/requirements.txt
	@test -x .venv-$*/bin/python || $(PYTHON) -m venv .venv-$*
	@echo 'Installing $* into .venv-$* ...' >&2
	@.venv-$*/bin/python -m pip --quiet --disable-pip-version-check install -r $<
	@touch $@

.venv/installed-dev: requirements-dev.lock .venv/installed
	@echo 'Installing the tools for tests ...' >&2
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@

test: lint ## lint and every test that is not slow, on a real Postgres, two at a time
	$(BIN)/python -m pytest -n 2 --hypothesis-profile quick -m 'not slow and not bi'

test-all: lint ## the slow tests too
	$(BIN)/python -m pytest -n 2 -m 'not bi'

test-bi: .venv-bi/installed .venv/installed-dev ## the dashboard in headless Chromium; renews docs/dashboard*.png
	@command -v chromium > /dev/null && command -v chromedriver > /dev/null || { echo 'Chromium is missing: apt-get install chromium chromium-driver' >&2; exit 2; }
	$(BIN)/python -m pytest -m bi tests/bi

test-hosting: .venv/installed-dev .venv-dagster/installed .venv-airflow/installed ## the recipes for Dagster and Airflow, in both; 10 minutes
	$(BIN)/python -m pytest tests/hosting/test_orchestrators.py

test-citus: citus-is-named .venv/installed-dev ## the tests of loading and of the warehouse on Citus: its coordinator in CITUS_PGHOST, CITUS_PGPORT, ...
	PGHOST="$$CITUS_PGHOST" PGPORT="$$CITUS_PGPORT" PGUSER="$$CITUS_PGUSER" PGPASSWORD="$$CITUS_PGPASSWORD" PGDATABASE="$$CITUS_PGDATABASE" \
	    $(BIN)/python -m pytest tests/loader/test_load.py tests/loader/test_believed.py tests/warehouse -m 'not embedded'

citus-is-named:
	@test "$${CITUS_PGHOST:+1}$${CITUS_PGPORT:+1}$${CITUS_PGUSER:+1}$${CITUS_PGPASSWORD+1}$${CITUS_PGDATABASE:+1}" = 11111 || { echo 'Name a coordinator of Citus in CITUS_PGHOST, CITUS_PGPORT, CITUS_PGUSER, CITUS_PGPASSWORD and CITUS_PGDATABASE' >&2; exit 2; }

lint: .venv/installed-dev ## ruff and mypy; sqlfluff and a strict dbt parse are among the tests
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy

lock: ## renew the lock files (needs uv)
	uv pip compile --quiet --universal --generate-hashes --python-version 3.10 --no-annotate --no-strip-extras \
	    --custom-compile-command 'make lock' --extra build --extra dev --extra forms pyproject.toml -o requirements-dev.lock
	uv pip compile --quiet --universal --generate-hashes --python-version 3.10 --no-annotate --no-strip-extras \
	    --custom-compile-command 'make lock' -c requirements-dev.lock --extra build --extra forms pyproject.toml -o requirements.lock

lock-bench:
	uv pip compile --quiet --universal --generate-hashes --python-version 3.10 --no-annotate --no-strip-extras \
	    --custom-compile-command 'make lock-bench' benchmarks/requirements.in -o benchmarks/requirements.lock

lock-bi:
	uv pip compile --quiet --universal --generate-hashes --python-version 3.10 --no-annotate --no-strip-extras \
	    --custom-compile-command 'make lock-bi' bi/requirements.in -o bi/requirements.lock

clean: ## stop the embedded Postgres and remove what was built; its data in .postgres stay
	@test ! -e .postgres/postmaster.pid || env -u PGHOST $(BIN)/python -m loader db stop \
	    || echo 'The embedded Postgres may still run: make install, then make clean again' >&2
	rm -rf .venv .venv-airflow .venv-bench .venv-bi .venv-dagster .superset site target logs

distclean: ## clean, and delete the embedded Postgres with its data; asks first (YES=1: does not)
	@test ! -e .postgres || $(MAKE) --no-print-directory install
	@test ! -e .postgres || env -u PGHOST $(BIN)/python -m loader db delete $(if $(YES),--yes)
	@$(MAKE) --no-print-directory clean
