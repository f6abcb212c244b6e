"""Imports the dashboard into the project's own Superset and serves it, on this machine only.

`make bi` runs it with the Python of .venv-bi; PG* name the warehouse. Superset's own tables and its
secrets are in `.superset/`: what a user adds there stays, what is written in `assets/` is as
written there again after each start.
"""

# ruff: noqa: PLC0415 - Superset reads its settings from the environment when it is imported

from __future__ import annotations

import argparse
import os
import socket
import sys
from contextlib import redirect_stdout
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.append(str(ROOT))

from bi.superset.bundle import assets  # noqa: E402
from loader import settings  # noqa: E402
from loader.errors import ConfigurationError  # noqa: E402

LOGIN = "admin"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--host", default="127.0.0.1", help="another address, e.g. 0.0.0.0 in a container"
    )
    parser.add_argument("--port", default="8088")
    parser.add_argument("--home", type=Path, default=ROOT / ".superset")
    arguments = parser.parse_args()
    try:
        language = settings.language()
        port = free_port(arguments.host, arguments.port)
    except ConfigurationError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)

    arguments.home.mkdir(mode=0o700, exist_ok=True)
    os.environ["SUPERSET_HOME"] = str(arguments.home)
    os.environ["SUPERSET_CONFIG_PATH"] = str(HERE / "superset_config.py")
    try:
        from superset.app import create_app
        from werkzeug.serving import make_server
    except ImportError as error:
        print(f"Superset is missing ({error}): `make bi` installs it", file=sys.stderr)
        sys.exit(2)

    print("Preparing Superset ...", file=sys.stderr)
    with (arguments.home / "log").open("w") as log, redirect_stdout(log):
        app = create_app()
        with app.app_context():
            password = prepare()
            import_assets(language)

    server = make_server(arguments.host, port, app, threaded=True)
    print(f"http://127.0.0.1:{server.port}/superset/dashboard/conversions/")
    print(f"login {LOGIN}, password {password}", flush=True)
    print("Ctrl-C ends it.", file=sys.stderr)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        server.server_close()


def free_port(host: str, text: str) -> int:
    """The port to serve on (0: any free one). Superset would find it taken a minute later."""
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise ConfigurationError(f"PORT is {text!r}: it must be a number from 0 to 65535")
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, int(text)))
        except OSError as error:
            raise ConfigurationError(
                f"port {text} cannot be used ({error.strerror}): choose another, e.g. "
                "`make bi PORT=8090`"
            ) from None
    return int(text)


def prepare() -> str:
    """Creates or upgrades Superset's tables with one user; returns that user's password."""
    from flask_migrate import upgrade
    from superset import appbuilder, db, security_manager
    from superset_config import kept_secret

    upgrade()
    appbuilder.add_permissions(update_perms=True)
    security_manager.sync_role_definitions()
    password = kept_secret("password")
    if not security_manager.find_user(LOGIN):
        security_manager.add_user(
            LOGIN, "", "", "admin@localhost", security_manager.find_role("Admin"), password
        )
    db.session.commit()
    return password


def import_assets(language: str) -> None:
    """Creates or updates database, datasets, charts and dashboard from the files in `assets/`."""
    from superset import db, security_manager
    from superset.commands.importers.v1.assets import ImportAssetsCommand
    from superset.connectors.sqla.models import SqlaTable
    from superset.utils.core import override_user

    with override_user(security_manager.find_user(LOGIN)):
        ImportAssetsCommand(assets(language)).run()
        for dataset in db.session.query(SqlaTable):
            dataset.fetch_metadata()  # the columns, with the descriptions that dbt stored
        db.session.commit()


if __name__ == "__main__":
    main()
