"""Superset's settings for one user on this machine; Superset downloads nothing.

Superset reads this file where SUPERSET_CONFIG_PATH names it, as `serve.py` does.
"""

import logging
import os
import secrets
from pathlib import Path
from typing import Any

from bi.superset.words import NUMBERS, WEEKDAYS, word
from loader import settings

HOME = Path(os.environ["SUPERSET_HOME"])


def kept_secret(name: str) -> str:
    """A random secret that stays the same: created once, readable only by its user."""
    file = HOME / name
    if not file.exists():
        file.touch(mode=0o600)
        file.write_text(secrets.token_urlsafe(32))
    return file.read_text()


SECRET_KEY = kept_secret("secret_key")
GUEST_TOKEN_JWT_SECRET = GLOBAL_ASYNC_QUERIES_JWT_SECRET = SECRET_KEY

# Superset's own tables: users, charts, dashboards. No data of the warehouse.
SQLALCHEMY_DATABASE_URI = f"sqlite:///{HOME / 'superset.db'}"

# What a page may fetch. Superset's default names map servers, font servers and a telemetry pixel.
TALISMAN_CONFIG = {
    "content_security_policy": {
        "base-uri": ["'self'"],
        "default-src": ["'self'"],
        "img-src": ["'self'", "blob:", "data:"],
        "object-src": "'none'",
        "script-src": ["'self'", "'strict-dynamic'"],
        "style-src": ["'self'", "'unsafe-inline'"],
        "worker-src": ["'self'", "blob:"],
    },
    "content_security_policy_nonce_in": ["script-src"],
    "force_https": False,  # there is no certificate for 127.0.0.1
    "session_cookie_secure": False,
}

# The headline numbers are of a kind of chart that is behind this flag.
FEATURE_FLAGS = {"CHART_PLUGINS_EXPERIMENTAL": True}

BABEL_DEFAULT_LOCALE = settings.language()
# Its pages need the language to be one of these. With one there is no menu to choose another.
LANGUAGES = {BABEL_DEFAULT_LOCALE: {"flag": "", "name": BABEL_DEFAULT_LOCALE}}
# A cookie keeps the language it began with, so each language has its own.
SESSION_COOKIE_NAME = f"session_{BABEL_DEFAULT_LOCALE}"
if BABEL_DEFAULT_LOCALE != "en":
    D3_FORMAT = NUMBERS
    D3_TIME_FORMAT = {"shortDays": WEEKDAYS[BABEL_DEFAULT_LOCALE]}


def SQL_QUERY_MUTATOR(sql: str, **_: Any) -> str:  # noqa: N802
    """Superset writes this label into its SQL in English only."""
    others = word("Others", BABEL_DEFAULT_LOCALE)
    return sql.replace("'Others'", f"'{others}'")


# One process: counting in memory is enough.
RATELIMIT_STORAGE_URI = "memory://"

# It logs each table that it creates and each page that it serves.
logging.disable(logging.WARNING)
