"""Tells the webhook `RINGOSTAT_ALERT_URL` what has failed, once, and when it has recovered.

What was told is remembered in `ringostat_raw.alerts`. If that is impossible, because Postgres is
down, each run tells its failure again. An alert that cannot be sent is tried again on the next run,
and changes nothing else. The address is a secret: no message contains it.
"""

from __future__ import annotations

import logging
import textwrap
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone

import psycopg
import requests
import tenacity

from loader import database, settings
from loader.errors import ConfigurationError, DbtInterrupted
from loader.load import describe
from loader.projects import Project

log = logging.getLogger(__name__)

_TIMEOUT_SECONDS = (5, 10)  # to connect; for the answer
_ATTEMPTS = 3
_PAUSE = tenacity.wait_exponential(max=5)

# Telegram takes at most 4096 characters.
_LONGEST_ERROR = 1000

# Slack and Telegram would read these as the beginning of a link, a mention or a tag.
_HARMLESS = str.maketrans("<>", "‹›")


@dataclass(frozen=True)
class Subject:
    """What fails and recovers. `name` tells it from others of the same project, or of none."""

    name: str
    title: str
    project_id: int | None = None
    project_name: str | None = None

    @property
    def key(self) -> tuple[int, str]:
        return self.project_id or 0, self.name

    @property
    def kind(self) -> str:
        return self.name.split()[0]


# Fails if nothing could be loaded or built.
RUN = Subject("run", "the run")


def of_project(project: Project) -> Subject:
    return Subject("load", str(project), project.project_id, project.project_name)


def of_build() -> Subject:
    return Subject(f"build {settings.schema_prefix()}", f"the build of {settings.schema('marts')}")


class _NotSent(Exception):
    """The text does not contain the address. `may_pass`: the next attempt may succeed."""

    def __init__(self, reason: str, may_pass: bool) -> None:
        super().__init__(reason)
        self.may_pass = may_pass


class Alerts:
    """The alerts of one run. Without an address, nothing happens.

    Raises ConfigurationError if the address cannot work.
    """

    def __init__(self) -> None:
        self._url = settings.alert_url()

    @contextmanager
    def watch(self, subject: Subject) -> Iterator[None]:
        """Tells whether the block has failed. Ctrl-C and SIGTERM are no failure."""
        try:
            yield
        except DbtInterrupted:
            raise
        except Exception as error:
            self.tell({subject: describe(error)})
            raise
        self.tell({subject: None})

    def tell(self, errors: Mapping[Subject, str | None]) -> None:
        """Sends what is new of `errors`; None means that the subject is well."""
        if self._url is None:
            return
        untold = dict(errors)
        try:
            try:
                with database.connect(database.environment()) as conn:
                    untold = {subject: errors[subject] for subject in _news(conn, errors)}
                    for subject, error in list(untold.items()):
                        with conn.transaction():
                            if _remember(conn, subject, error):
                                del untold[subject]
                                self._send(subject, error)
            except (psycopg.Error, ConfigurationError) as lost:
                log.warning(
                    "alerts cannot be remembered, so each run repeats them: %s", describe(lost)
                )
                for subject, error in untold.items():
                    if error is not None:
                        self._send(subject, error)
        except _NotSent as reason:
            self._url = None  # the rest of the run does not wait for it again
            log.warning("an alert was not sent, the next run tries again: %s", reason)

    def _send(self, subject: Subject, error: str | None) -> None:
        attempts = tenacity.Retrying(
            retry=tenacity.retry_if_exception(
                lambda error: isinstance(error, _NotSent) and error.may_pass
            ),
            stop=tenacity.stop_after_attempt(_ATTEMPTS),
            wait=_PAUSE,
            sleep=tenacity.sleep_using_event(threading.Event()),
            reraise=True,
        )
        attempts(_post, self._url or "", _body(subject, error))


def _news(conn: psycopg.Connection, errors: Mapping[Subject, str | None]) -> list[Subject]:
    """The subjects that fail and were not told to, and those that were and are well."""
    rows = conn.execute("select project_id, subject from ringostat_raw.alerts").fetchall()
    told = set(rows)
    return [
        subject for subject, error in errors.items() if (error is None) == (subject.key in told)
    ]


def _remember(conn: psycopg.Connection, subject: Subject, error: str | None) -> bool:
    """Belongs to the transaction that sends the alert. False if another run has sent it."""
    if error is None:
        deleted = conn.execute(
            "delete from ringostat_raw.alerts where project_id = %s and subject = %s",
            subject.key,
        )
        return deleted.rowcount == 1
    inserted = conn.execute(
        """
        insert into ringostat_raw.alerts (project_id, subject, error, alerted_at)
        values (%s, %s, %s, now())
        on conflict do nothing
        """,
        [*subject.key, error],
    )
    return inserted.rowcount == 1


def _body(subject: Subject, error: str | None) -> dict[str, object]:
    """`text` is what chats show; the rest is for programs."""
    if error is None:
        text = f"Ringostat: {subject.title} has recovered"
    else:
        error = textwrap.shorten(error, _LONGEST_ERROR, placeholder=" …")
        text = f"Ringostat: {subject.title} failed: {error}"
    return {
        "text": text.translate(_HARMLESS),
        "event": "recovered" if error is None else "failed",
        "subject": subject.kind,
        "project_id": subject.project_id,
        "project_name": subject.project_name,
        "error": error,
        "at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def _post(url: str, body: Mapping[str, object]) -> None:
    """One attempt. Raises _NotSent."""
    try:
        with requests.Session() as session:
            # What goes without TLS must not pass a proxy.
            session.trust_env = url.lower().startswith("https:")
            with session.post(
                url, json=body, timeout=_TIMEOUT_SECONDS, allow_redirects=False, stream=True
            ) as response:
                status = response.status_code
    except (OSError, ValueError) as error:  # the text may contain the address
        raise _NotSent(type(error).__name__, may_pass=True) from None
    if not 200 <= status < 300:
        may_pass = status in (408, 425, 429) or status >= 500
        raise _NotSent(f"the answer was {status}", may_pass)
