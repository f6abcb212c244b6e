"""All RINGOSTAT_* variables and the Auth-keys: no other module reads them."""

from __future__ import annotations

import os
import re
import ssl
from pathlib import Path
from urllib.parse import urlsplit

from loader import ROOT
from loader.errors import ConfigurationError

DEFAULT_API_URL = "https://api.ringostat.net"
DEFAULT_ROW_CAP = 6500
DEFAULT_STALE_HOURS = 26
DEFAULT_MAX_REMOVED_SHARE = 0.3
DEFAULT_MAX_REMOVED_CALLS = 20

CALLER_SALT = "RINGOSTAT_CALLER_SALT"
ALERT_URL = "RINGOSTAT_ALERT_URL"
DISTRIBUTED = "RINGOSTAT_DISTRIBUTED"
VARS = "RINGOSTAT_VARS"
FORMS_SECRET = "RINGOSTAT_FORMS_SECRET"  # noqa: S105 -- the name of a variable

LOG_FORMATS = ("text", "json")
LANGUAGES = ("en", "ru", "uk")


def api_url() -> str:
    """`RINGOSTAT_API_URL`. The key is sent over TLS only, or does not leave this machine.

    Raises ConfigurationError, which does not show the address: it may contain a password.
    """
    url = os.environ.get("RINGOSTAT_API_URL", DEFAULT_API_URL).rstrip("/")
    try:
        parts = urlsplit(url)
        is_address = bool(parts.hostname) and parts.port != 0  # reading a bad port raises
    except ValueError:
        is_address = False
    if not is_address or not (parts.scheme == "https" or is_loopback(url)):
        raise ConfigurationError(
            f"RINGOSTAT_API_URL must be an https:// address, e.g. {DEFAULT_API_URL}"
        )
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ConfigurationError(
            "RINGOSTAT_API_URL must be an address alone, without user, password or parameters, "
            f"e.g. {DEFAULT_API_URL}"
        )
    if parts.scheme == "https":
        _check_ca_bundle()
    return url


def is_loopback(url: str) -> bool:
    """Whether `url` is plain HTTP to this machine."""
    parts = urlsplit(url)
    return parts.scheme == "http" and parts.hostname in ("localhost", "127.0.0.1", "::1")


def alert_url() -> str | None:
    """`RINGOSTAT_ALERT_URL`, None if it is not set or empty. Whoever knows it may post.

    Plain HTTP is for this machine and for a name without a dot, which is a host of one's own
    network, e.g. another container. Raises ConfigurationError, which does not show the address.
    """
    url = os.environ.get(ALERT_URL, "").strip()
    if not url:
        return None
    if not _may_take_alerts(url):
        raise ConfigurationError(
            f"{ALERT_URL} must be an https:// address, or http:// of this machine or network"
        )
    if url.lower().startswith("https:"):
        _check_ca_bundle()
    return url


def _may_take_alerts(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host = parts.hostname
        if not host or parts.port == 0:  # reading a bad port raises
            return False
    except ValueError:
        return False
    if parts.scheme == "http":
        return is_loopback(url) or re.fullmatch(r"[a-z][a-z0-9_-]*", host) is not None
    return parts.scheme == "https"


def _check_ca_bundle() -> None:
    """Raises ConfigurationError if the trusted certificates cannot be read, which requests takes
    from one of these variables."""
    for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        path = os.environ.get(variable)
        if not path:
            continue
        try:
            if not Path(path).is_dir():
                ssl.create_default_context(cafile=path)
        except OSError as error:  # ssl.SSLError is one
            raise ConfigurationError(
                f"{variable} must be a readable file of certificates: {error.strerror or error}"
            ) from None
        return


def row_cap() -> int:
    """How many calls an answer may have: `RINGOSTAT_ROW_CAP`."""
    return int(
        _number("RINGOSTAT_ROW_CAP", DEFAULT_ROW_CAP, r"[1-9]\d{0,8}", "a whole number above 0")
    )


def max_removed_share() -> float:
    """`RINGOSTAT_MAX_REMOVED_SHARE`: a run that would remove a larger share of calls fails."""
    pattern = r"0(\.\d+)?|1(\.0+)?"
    return float(
        _number(
            "RINGOSTAT_MAX_REMOVED_SHARE",
            DEFAULT_MAX_REMOVED_SHARE,
            pattern,
            "a number from 0 to 1",
        )
    )


def max_removed_calls() -> int:
    """`RINGOSTAT_MAX_REMOVED_CALLS`: a run may always remove this many calls."""
    return int(
        _number(
            "RINGOSTAT_MAX_REMOVED_CALLS", DEFAULT_MAX_REMOVED_CALLS, r"\d{1,9}", "a whole number"
        )
    )


def stale_hours() -> float:
    """How far behind a project may be: `RINGOSTAT_STALE_HOURS`."""
    return float(
        _number("RINGOSTAT_STALE_HOURS", DEFAULT_STALE_HOURS, r"\d{1,6}(\.\d+)?", "a number")
    )


def _number(variable: str, default: float, pattern: str, kind: str) -> str:
    """The variable's text, or `default` if it is not set. Raises ConfigurationError unless it is of
    the `pattern`, which the words `kind` describe."""
    value = os.environ.get(variable, str(default))
    if not re.fullmatch(pattern, value):
        raise ConfigurationError(f"{variable} is {value!r}: it must be {kind}")
    return value


def wants_recordings() -> bool:
    """`RINGOSTAT_RECORDINGS`: whether to ask for the links to recordings."""
    return os.environ.get("RINGOSTAT_RECORDINGS") == "1"


def is_distributed() -> bool:
    """`RINGOSTAT_DISTRIBUTED`: whether the tables are spread over the nodes of Citus."""
    return _one_of(DISTRIBUTED, ("0", "1")) == "1"


def proves_row_cap() -> bool:
    """`RINGOSTAT_PROVE_ROW_CAP`: whether each run proves that the API cuts no answer."""
    return os.environ.get("RINGOSTAT_PROVE_ROW_CAP") != "0"


def log_format() -> str:
    """`RINGOSTAT_LOG_FORMAT`: `text` or `json`."""
    return _one_of("RINGOSTAT_LOG_FORMAT", LOG_FORMATS)


def language() -> str:
    """`RINGOSTAT_LANG`: the language of the dashboard."""
    return _one_of("RINGOSTAT_LANG", LANGUAGES)


def _one_of(variable: str, values: tuple[str, ...]) -> str:
    """The variable's text; the first of `values` if it is not set or empty."""
    value = os.environ.get(variable) or values[0]
    if value not in values:
        raise ConfigurationError(f"{variable} is {value!r}: it must be one of {', '.join(values)}")
    return value


def caller_salt() -> str | None:
    """`RINGOSTAT_CALLER_SALT`, None if it is not set or empty; or ConfigurationError."""
    value = os.environ.get(CALLER_SALT)
    try:
        (value or "").encode()
    except UnicodeEncodeError:
        raise ConfigurationError(f"{CALLER_SALT} must be UTF-8") from None
    return value or None


def forms_secret() -> str:
    """`RINGOSTAT_FORMS_SECRET`, which a webhook's address holds: letters that a path takes as they
    are. Raises ConfigurationError, which never shows the value."""
    secret = os.environ.get(FORMS_SECRET, "")
    if not re.fullmatch(r"[A-Za-z0-9_-]{16,200}", secret):
        raise ConfigurationError(
            "RINGOSTAT_FORMS_SECRET must be 16 to 200 letters, digits, - or _: "
            "make one with `openssl rand -hex 24`"
        )
    return secret


def seeds_folder() -> Path:
    """The seeds' folder. A relative `RINGOSTAT_SEEDS` is below the project's root, as for dbt."""
    return ROOT / os.environ.get("RINGOSTAT_SEEDS", "seeds")


def vars_file() -> Path | None:
    """`RINGOSTAT_VARS`, a file of dbt vars; None if it is not set or empty. A relative path is
    below the project's root, like that of the seeds."""
    name = os.environ.get(VARS)
    return ROOT / name if name else None


def schema_prefix() -> str:
    """`RINGOSTAT_SCHEMA`: the prefix of dbt's schemas."""
    return os.environ.get("RINGOSTAT_SCHEMA", "ringostat")


def schema(layer: str) -> str:
    """The schema of a layer of dbt: `staging`, `intermediate`, `marts` or `seeds`."""
    return f"{schema_prefix()}_{layer}"


def auth_key(variable: str) -> str:
    """The Auth-key in the environment variable `variable`.

    Raises ConfigurationError, which names the variable and never shows the value.
    """
    key = os.environ.get(variable, "").strip()
    if not key:
        raise ConfigurationError(f"{variable} is not set: put the project's Auth-key into it")
    if not re.fullmatch(r"[!-~]+", key):
        raise ConfigurationError(
            f"{variable} contains spaces or characters that an Auth-key never has"
        )
    return key
