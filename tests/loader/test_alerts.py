"""`RINGOSTAT_ALERT_URL`: one POST when something fails, one when it has recovered."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psycopg
import pytest

from loader import alerts, raw, settings
from loader.errors import ConfigurationError, DbtInterrupted, LoadError
from loader.load import Interrupted

from .hostile import always, response
from .support import KEY, Setting, ringostat

SECRET = "hook-secret-5d1e"
UNTIL = ("--until", "2024-02-01")
SALON = "22222,Salon <!channel>,SALON_KEY,Europe/Kyiv,,2024-01-01,true"


class Webhook:
    """A real HTTP server; `status` is what it answers."""

    def __init__(self) -> None:
        self.status = 200
        self.received: list[dict] = []
        self.attempts = 0
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                hook.attempts += 1
                body = self.rfile.read(int(self.headers["Content-Length"]))
                assert self.path == f"/{SECRET}"
                assert self.headers["Content-Type"] == "application/json"
                if hook.status == 200:
                    hook.received.append(json.loads(body))
                self.send_response(hook.status)
                self.send_header("Location", f"{hook.url}?again")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/{SECRET}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def take(self) -> list[dict]:
        """What has been received since the last time."""
        taken, self.received = self.received, []
        return taken


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Webhook]:
    with closing(Webhook()) as webhook:
        monkeypatch.setenv("RINGOSTAT_ALERT_URL", webhook.url)
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # must not be asked
        yield webhook


@pytest.fixture
def build(monkeypatch: pytest.MonkeyPatch) -> list[Exception]:
    """No build is made; it fails with the error that the list holds, if any."""
    errors: list[Exception] = []

    def build(*words: str) -> None:
        if errors:
            raise errors[0]

    monkeypatch.setattr("loader.commands.cli.build", build)
    return errors


def run(*arguments: str) -> int:
    result = ringostat("-v", "run", *(arguments or UNTIL))
    assert SECRET not in result.output
    assert KEY not in result.output
    return result.exit_code


def break_api(setting: Setting) -> None:
    setting.api.fault = always(response("closed", status=403))


def mend_api(setting: Setting) -> None:
    setting.api.fault = lambda number, parameters: None


def test_good_runs_send_nothing(setting: Setting, hook: Webhook, build: list) -> None:
    assert [run(), run()] == [0, 0]
    assert hook.attempts == 0


def test_a_failing_project_is_told_once_and_so_is_its_recovery(
    setting: Setting, hook: Webhook, build: list
) -> None:
    break_api(setting)
    assert [run(), run()] == [1, 1]
    (failed,) = hook.take()
    error = ringostat("status", "--json").stdout
    assert failed["error"] == json.loads(error)[0]["last_error"]
    assert failed["text"] == f"Ringostat: project 11111 (Clinic) failed: {failed['error']}"
    at = datetime.fromisoformat(failed.pop("at"))
    assert abs((datetime.now(timezone.utc) - at).total_seconds()) < 60
    assert {**failed, "text": "", "error": ""} == {
        "text": "",
        "event": "failed",
        "subject": "load",
        "project_id": 11111,
        "project_name": "Clinic",
        "error": "",
    }
    mend_api(setting)
    assert [run(), run()] == [0, 0]
    (recovered,) = hook.take()
    del recovered["at"]
    assert recovered == {
        "text": "Ringostat: project 11111 (Clinic) has recovered",
        "event": "recovered",
        "subject": "load",
        "project_id": 11111,
        "project_name": "Clinic",
        "error": None,
    }
    break_api(setting)
    assert run() == 1
    assert [alert["event"] for alert in hook.take()] == ["failed"]


def test_load_tells_too(setting: Setting, hook: Webhook) -> None:
    break_api(setting)
    ringostat("load", *UNTIL)
    mend_api(setting)
    ringostat("load", *UNTIL)
    assert [alert["event"] for alert in hook.take()] == ["failed", "recovered"]


def test_each_project_is_told_by_itself_and_mentions_nobody(
    setting: Setting,
    hook: Webhook,
    build: list,
    seeds: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seeds("11111,Clinic,,Europe/Kyiv,,2024-01-01,true", SALON)
    monkeypatch.setenv("SALON_KEY", "wrong")
    assert run() == 1
    (alert,) = hook.take()
    assert (alert["project_id"], alert["project_name"]) == (22222, "Salon <!channel>")
    assert alert["text"].startswith("Ringostat: project 22222 (Salon ‹!channel›) failed: ")
    break_api(setting)
    assert run() == 1
    assert [alert["project_id"] for alert in hook.take()] == [11111]


def test_the_build_is_told_by_itself(
    setting: Setting, hook: Webhook, build: list, monkeypatch: pytest.MonkeyPatch
) -> None:
    build.append(LoadError("dbt build failed: its messages name the seed, model or test"))
    assert [run(), run()] == [1, 1]
    (failed,) = hook.take()
    assert (failed["event"], failed["subject"]) == ("failed", "build")
    assert failed["project_id"] is failed["project_name"] is None
    assert failed["text"].startswith("Ringostat: the build of ringostat_marts failed: dbt build")
    monkeypatch.setenv("RINGOSTAT_SCHEMA", "other")  # has a build of its own
    assert run() == 1
    assert "other_marts" in hook.take()[0]["text"]
    build.clear()
    monkeypatch.delenv("RINGOSTAT_SCHEMA")
    assert run() == 0
    assert [alert["text"] for alert in hook.take()] == [
        "Ringostat: the build of ringostat_marts has recovered"
    ]


def test_faults_in_the_csvs_are_told(
    setting: Setting, hook: Webhook, build: list, seeds: Callable[..., Path]
) -> None:
    assert run() == 0
    seeds("11111,Clinic,,Nowhere,,2024-01-01,true")
    assert [run(), run()] == [2, 2]
    (failed,) = hook.take()
    assert (failed["subject"], failed["project_id"]) == ("run", None)
    assert failed["text"] == (
        "Ringostat: the run failed: nothing was loaded or built: correct the CSVs first"
    )
    seeds("11111,Clinic,,Europe/Kyiv,,2024-01-01,true")
    assert run() == 0
    assert [alert["text"] for alert in hook.take()] == ["Ringostat: the run has recovered"]


def test_a_fault_before_the_first_load_leaves_the_database_untouched(
    setting: Setting, hook: Webhook, build: list, seeds: Callable[..., Path]
) -> None:
    seeds("11111,Clinic,,Nowhere,,2024-01-01,true")
    assert run() == 2
    assert [alert["event"] for alert in hook.take()] == ["failed"]
    assert setting.conn.execute("select to_regnamespace('ringostat_raw')").fetchone() == (None,)


def test_what_is_no_error_of_ours_is_told_and_raised(
    setting: Setting, hook: Webhook, build: list
) -> None:
    build.append(KeyError("380670000001"))
    with pytest.raises(KeyError):
        run()
    (failed,) = hook.take()
    assert failed["error"] == "KeyError: '***'"


def test_ctrl_c_while_calls_are_loaded_is_no_failure(
    setting: Setting, hook: Webhook, build: list, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise Interrupted([])

    monkeypatch.setattr("loader.commands.cli.load_projects", interrupt)
    result = ringostat("run", *UNTIL)
    assert result.exit_code == 1
    assert "Aborted" in result.stderr
    assert hook.attempts == 0


def test_ctrl_c_while_dbt_runs_is_no_failure(setting: Setting, hook: Webhook, build: list) -> None:
    build.append(DbtInterrupted("interrupted: dbt was stopped before it finished"))
    assert run() == 1
    assert hook.attempts == 0


def test_a_project_that_was_paused_meanwhile_is_no_failure(
    setting: Setting, hook: Webhook, build: list, seeds: Callable[..., Path]
) -> None:
    salon = SALON.replace("SALON_KEY", "RINGOSTAT_AUTH_KEY")
    seeds("11111,Clinic,,Europe/Kyiv,,2024-01-01,true", salon)

    def pause(number: int, parameters: dict[str, str]) -> None:
        seeds("11111,Clinic,,Europe/Kyiv,,2024-01-01,true", salon.replace("true", "false"))

    setting.api.fault = pause
    assert run("--jobs", "1", *UNTIL) == 1
    assert hook.attempts == 0


def test_a_build_that_cannot_connect_is_no_wrong_setting(
    setting: Setting, hook: Webhook, build: list
) -> None:
    """Calls have landed: exit code 2 would say that nothing was changed."""
    build.append(ConfigurationError("cannot connect to Postgres at db, port 5432"))
    assert run() == 1
    (alert,) = hook.take()
    assert (alert["subject"], alert["event"]) == ("build", "failed")


def test_without_postgres_each_run_tells(
    setting: Setting, hook: Webhook, build: list, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPORT", "1")
    assert [run(), run()] == [2, 2]
    first, second = hook.take()
    assert first["subject"] == second["subject"] == "run"
    assert "cannot connect to Postgres" in first["text"]


def test_postgres_that_goes_away_meanwhile(
    setting: Setting, hook: Webhook, build: list, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_api(setting)
    build.append(LoadError("dbt build failed: no server"))
    monkeypatch.setattr(alerts.database, "environment", _no_server_after(1, alerts.database))
    assert run() == 1
    assert [alert["subject"] for alert in hook.take()] == ["load", "build"]


def _no_server_after(times: int, module: object) -> Callable[[], dict[str, str]]:
    real = module.environment
    asked = []

    def environment() -> dict[str, str]:
        asked.append(1)
        if len(asked) > times:
            raise ConfigurationError("cannot connect to Postgres")
        return real()

    return environment


def test_a_table_that_cannot_be_written(setting: Setting, hook: Webhook, build: list) -> None:
    raw.create_tables(setting.conn)
    setting.conn.execute("alter table ringostat_raw.alerts rename error to other")
    break_api(setting)
    result = ringostat("run", *UNTIL)
    assert result.exit_code == 1
    assert "WARNING alerts cannot be remembered, so each run repeats them: " in result.stderr
    assert [alert["event"] for alert in hook.take()] == ["failed"]


@pytest.mark.parametrize(("status", "attempts"), [(500, 3), (429, 3), (404, 1), (302, 1)])
def test_what_could_not_be_sent_is_sent_by_the_next_run(
    setting: Setting, hook: Webhook, build: list, status: int, attempts: int
) -> None:
    hook.status = status
    break_api(setting)
    build.append(LoadError("dbt build failed: ..."))
    result = ringostat("-v", "run", *UNTIL)
    assert result.exit_code == 1
    assert result.stderr.count("WARNING an alert was not sent, the next run tries again: ") == 1
    assert f"the answer was {status}" in result.stderr
    assert SECRET not in result.output
    assert hook.attempts == attempts  # the build's does not wait for the same server
    hook.status = 200
    assert run() == 1
    assert [alert["subject"] for alert in hook.take()] == ["load", "build"]
    hook.status = status
    mend_api(setting)
    build.clear()
    assert run() == 0
    hook.status = 200
    assert run() == 0
    assert [alert["event"] for alert in hook.take()] == ["recovered", "recovered"]


def test_a_server_that_is_down_changes_no_exit_code(
    setting: Setting, hook: Webhook, build: list
) -> None:
    hook.close()
    break_api(setting)
    result = ringostat("-v", "run", *UNTIL)
    assert result.exit_code == 1
    assert "tries again: ConnectionError" in result.stderr
    assert SECRET not in result.output
    assert "/hook" not in result.output


def test_two_runs_at_once_tell_it_once(setting: Setting, hook: Webhook) -> None:
    raw.create_tables(setting.conn)
    with setting.conn.transaction():
        failure = {alerts.RUN: "no"}
        other = threading.Thread(target=lambda: alerts.Alerts().tell(failure))
        assert alerts._remember(setting.conn, alerts.RUN, "no")
        other.start()
        waiting = "select from pg_locks where not granted and locktype = 'transactionid'"
        with psycopg.connect(setting.conn.info.dsn, autocommit=True) as third:
            while other.is_alive() and not third.execute(waiting).rowcount:
                pass
    other.join()
    assert hook.attempts == 0


def test_a_long_error_is_cut(setting: Setting, hook: Webhook) -> None:
    alerts.Alerts().tell({alerts.RUN: "many words " * 1000})
    (alert,) = hook.take()
    assert 900 < len(alert["text"]) < 1100
    assert alert["text"].endswith(" …")


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example.com/a",
        "http://localhost:5678/a",
        "http://n8n:5678/a",
        "https://user:word@relay.example/a?b=c",
    ],
)
def test_addresses(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("RINGOSTAT_ALERT_URL", f" {url}\n")
    assert settings.alert_url() == url


@pytest.mark.parametrize("url", ["", " "])
def test_no_address(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("RINGOSTAT_ALERT_URL", url)
    assert settings.alert_url() is None


@pytest.mark.parametrize(
    "url",
    [
        f"http://hooks.example.com/{SECRET}",
        f"http://10.0.0.1/{SECRET}",
        f"http://2130706433/{SECRET}",
        f"ftp://x/{SECRET}",
        SECRET,
        f"https:///{SECRET}",
        f"https://x:port/{SECRET}",
        f"https://[/{SECRET}",
    ],
)
def test_an_address_that_cannot_work_stops_before_anything(
    setting: Setting, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("RINGOSTAT_ALERT_URL", url)
    assert run() == 2
    assert setting.api.requests == []
    result = ringostat("load")
    assert "RINGOSTAT_ALERT_URL must be an https:// address" in result.stderr
    assert SECRET not in result.output


def test_dbt_does_not_get_the_address(
    setting: Setting, hook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    from loader.commands import dbt

    assert "RINGOSTAT_ALERT_URL" not in dbt._environment({})


def test_a_deleted_project_leaves_no_alert(setting: Setting, hook: Webhook, build: list) -> None:
    break_api(setting)
    run()
    assert ringostat("project", "delete", "11111", "--yes").exit_code == 0
    assert setting.conn.execute("select * from ringostat_raw.alerts").fetchall() == []
