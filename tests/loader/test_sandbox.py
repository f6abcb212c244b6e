"""The sandbox API over real HTTP, rule by rule, and the demo's account that it serves."""

from __future__ import annotations

import base64
import csv
import io
import json
import shlex
import shutil
import signal
import subprocess
import sys
from collections import Counter
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import requests

from loader.sandbox import SEEDS, Sandbox, SandboxProject, demo_account, demo_spend

KEY = "sandbox-key-1"
TODAY = date(2026, 11, 23)
NOW = datetime(2026, 11, 23, 12, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)

DEAD_POOL = "Сітілайт біля метро"
POOL_WITHOUT_VISITS = "Динамический пул: сервис"

# The vendor's sample answer: which values are texts and which are numbers.
SAMPLE_TYPES = {
    "calldate": str, "caller": str, "dst": str, "pool_name": str, "disposition": str,
    "category_mark": int, "duration": int, "call_type": str, "waittime": str, "billsec": int,
    "connected_with": str, "call_counter": int, "proper_flag": int, "repeated_flag": int,
    "utm_source": str, "utm_medium": str, "utm_campaign": str, "utm_content": str,
    "utm_term": str, "uniqueid": str, "category_number": int, "employee_number": int,
    "employee_mark": int, "client_id": str, "remote_ip": str, "refferrer": str, "landing": str,
    "recording": str, "call_card": str, "has_recording": str, "scheme_name": str,
    "duration_ms": str,
}  # fmt: skip


def call(calldate: object, uniqueid: str = "", **fields: object) -> dict[str, object]:
    return {"calldate": calldate, "uniqueid": uniqueid or calldate, **fields}


def project(*calls: dict[str, object], time_zone: str = "Europe/Kyiv", **more) -> SandboxProject:
    return SandboxProject(1, KEY, time_zone, list(calls), **more)


def get(
    sandbox: Sandbox, path: str = "/calls/list", key: str | None = KEY, **parameters: str
) -> requests.Response:
    """`from` is a word of Python: pass `from_`."""
    named = {name.rstrip("_"): value for name, value in parameters.items()}
    headers = {} if key is None else {"Auth-key": key}
    return requests.get(sandbox.url + path, params=named, headers=headers, timeout=10)


def ids(sandbox: Sandbox, **parameters: str) -> list[str]:
    """The ids of the calls answered; of the year 2026 if no bound is given."""
    if not {"from_", "to"} & set(parameters):
        parameters |= {"from_": "2026-01-01 00:00:00", "to": "2027-01-01 00:00:00"}
    response = get(sandbox, **parameters)
    assert response.status_code == 200, response.text
    return [row["uniqueid"] for row in response.json()]


# ------------------------------------------------------------------------------------------ access


@pytest.mark.parametrize("path", ["/calls/list", "/sipstatus/online"])
@pytest.mark.parametrize("key", [None, "", "wrong", KEY + "1"])
def test_a_wrong_key_is_answered_401(path, key):
    with Sandbox([project()]) as sandbox:
        assert get(sandbox, path, key=key).status_code == 401
        assert get(sandbox, path).json() == []


@pytest.mark.parametrize("name", ["Auth-key", "auth_key", "authkey", "key"])
def test_a_key_in_the_query_is_answered_400_and_html(name):
    with Sandbox([project()]) as sandbox:
        response = requests.get(f"{sandbox.url}/calls/list?{name}={KEY}", timeout=10)
        assert response.status_code == 400
        assert response.text.startswith("<html>")
        assert response.headers["Content-Type"].startswith("text/html")


def test_the_key_chooses_the_project():
    other = SandboxProject(2, "sandbox-key-2", "Asia/Almaty", [call("2026-03-01T10:00:00+0500")])
    with Sandbox([project(), other]) as sandbox:
        assert ids(sandbox) == []
        assert ids(sandbox, key="sandbox-key-2") == ["2026-03-01T10:00:00+0500"]
        assert sandbox.project(2) is other


def test_other_paths_and_methods_are_refused():
    with Sandbox([project()]) as sandbox:
        assert get(sandbox, "/projects/list").status_code == 404
        assert requests.post(sandbox.url + "/calls/list", timeout=10).status_code == 404
        assert requests.put(sandbox.url + "/calls/list", timeout=10).status_code == 501


# ------------------------------------------------------------------------------------------ fields


def test_only_the_fields_asked_for_are_answered_and_an_absent_one_stays_absent():
    row = call("2026-03-01T10:00:00+0200", "a", caller="38000", billsec="7", pool_name=None)
    with Sandbox([project(row)]) as sandbox:
        response = get(
            sandbox, from_="2026-03-01 00:00:00", fields="uniqueid,billsec,pool_name,landing"
        )
        assert response.json() == [{"uniqueid": "a", "billsec": "7", "pool_name": None}]
        assert get(sandbox, from_="2026-03-01 00:00:00").json() == [row]


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize("fields", ["uniqueid,nonsense", "uniqueid,n_alias", "uniqueid, dst", ""])
def test_an_unknown_or_refused_field_is_an_incorrect_field_name(fields, status):
    refusing = project(refused_fields=frozenset({"n_alias"}))
    with Sandbox([refusing], refusal_status=status) as sandbox:
        response = get(sandbox, fields=fields)
        assert response.status_code == status
        assert response.text == "incorrect field name"
        assert get(sandbox, fields="uniqueid,dst").json() == []


def test_an_unknown_field_is_answered_unasked():
    with Sandbox([project(call("2026-03-01T10:00:00+0200", "a", mood="good"))]) as sandbox:
        answered = get(sandbox, from_="2026-03-01 00:00:00", fields="uniqueid").json()
        assert answered == [{"uniqueid": "a", "mood": "good"}]


# -------------------------------------------------------------------------------------- the period


def test_bounds_are_wall_clock_of_the_projects_zone():
    rows = [call("2026-02-28T22:30:00Z", "a"), call("2026-03-01T00:30:00+0000", "b")]
    with Sandbox([project(*rows), SandboxProject(2, "2", "Asia/Almaty", rows)]) as sandbox:
        first_of_march = {"from_": "2026-03-01 00:00:00", "to": "2026-03-01 02:00:00"}
        assert ids(sandbox, **first_of_march) == ["a"]
        assert ids(sandbox, key="2", **first_of_march) == []


def test_calldates_are_read_with_any_offset_or_none_and_unreadable_ones_always_answered():
    moments = [
        "2026-03-01T10:00:00+0200",
        "2026-03-01T08:00:01+0000",
        "2026-03-01T10:00:02+02:00",
        "2026-03-01T08:00:03Z",
        "2026-03-01T10:00:04",
        "2026-03-01 10:00:05",
    ]
    unreadable = ["yesterday", "2026-02-30T10:00:00+0200", None, 1772352000]
    rows = [call(calldate, str(n)) for n, calldate in enumerate(moments + unreadable)]
    rows.append({"uniqueid": "10"})
    with Sandbox([project(*reversed(rows))]) as sandbox:
        within = ids(sandbox, from_="2026-03-01 10:00:00", to="2026-03-01 10:00:05")
        assert within[:6] == list("012345")
        assert sorted(within[6:], key=int) == ["6", "7", "8", "9", "10"]
        assert len(ids(sandbox, from_="2026-03-02 00:00:00", to="2026-03-03 00:00:00")) == 5


@pytest.mark.parametrize(("inclusive_to", "answered"), [(True, ["a", "b"]), (False, ["a"])])
def test_from_is_inclusive_and_to_as_set(inclusive_to, answered):
    rows = [call("2026-03-01T10:00:00+0200", "a"), call("2026-03-01T11:00:00+0200", "b")]
    with Sandbox([project(*rows)], inclusive_to=inclusive_to) as sandbox:
        assert ids(sandbox, from_="2026-03-01 10:00:00", to="2026-03-01 11:00:00") == answered


def test_to_defaults_to_now_and_from_to_a_day_before_to():
    now = datetime.now(timezone.utc)
    rows = [
        call((now + hours * HOUR).isoformat(timespec="seconds"), f"{hours}")
        for hours in (-25, -23, -1, 1)
    ]
    with Sandbox([project(*rows, time_zone="Asia/Almaty")]) as sandbox:
        assert [row["uniqueid"] for row in get(sandbox).json()] == ["-23", "-1"]
        yesterday = (now - 24 * HOUR).astimezone(ZoneInfo("Asia/Almaty"))
        assert ids(sandbox, to=f"{yesterday:%Y-%m-%d %H:%M:%S}") == ["-25"]
        assert ids(sandbox, from_=f"{yesterday:%Y-%m-%d %H:%M:%S}") == ["-23", "-1"]


@pytest.mark.parametrize(("fold", "answered"), [(0, ["first", "second"]), (1, ["second"])])
def test_a_bound_in_the_doubled_hour_is_read_as_set(fold, answered):
    rows = [
        call("2026-10-25T03:30:00+0300", "first"),
        call("2026-10-25T03:30:00+0200", "second"),
    ]
    with Sandbox([project(*rows)], fold=fold) as sandbox:
        assert ids(sandbox, from_="2026-10-25 03:15:00", to="2026-10-25 05:00:00") == answered


@pytest.mark.parametrize(
    "parameters",
    [
        {"from_": "2026-03"},
        {"to": "2026-03-01T10:00:00"},
        {"merge": "3"},
        {"order": "caller asc"},
        {"export_type": "xml"},
        {"filters": "nobody=1"},
        {"filters": "caller"},
        {"filters": "caller~(not base64)"},
        {"filters": "caller~KA=="},  # an open parenthesis
        {"limit": "10"},  # the tests' own mode is strict
    ],
)
def test_a_bad_request_is_answered_400(parameters):
    with Sandbox([project()]) as sandbox:
        assert get(sandbox, **parameters).status_code == 400


# ------------------------------------------------------------------------- what real clients send


MARCH = [
    call("2026-03-01T00:00:00+0200", "a", caller="380441112233", pool_name="A, caller=1"),
    call("2026-03-01T23:59:30+0200", "b", caller="380671112233", pool_name="B", billsec=7),
    call("2026-03-02T00:00:00+0200", "c", caller=None),
]


def base64_of(expression: str) -> str:
    return base64.b64encode(expression.encode()).decode()


@pytest.mark.parametrize(
    ("parameters", "answered"),
    [
        ({"from_": "2026-03-01", "to": "2026-03-02"}, "abc"),
        ({"from_": "2026-03-01", "to": "2026-03-01 23:59"}, "a"),
        ({"filters": "uniqueid=b"}, "b"),
        ({"filters": "pool_name=A, caller=1"}, "a"),
        ({"filters": "pool_name=A"}, ""),
        ({"filters": "billsec=7,caller=380671112233"}, "b"),
        ({"filters": f"caller~{base64_of('^380(44|67)')}"}, "ab"),
        ({"filters": f"caller~{base64_of('^380(44|67)').rstrip('=')},billsec=7"}, "b"),
        ({"filters": f"caller~{base64_of('^$')}"}, "c"),
        ({"filters": f"uniqueid~{base64_of('[>?~]|b')}"}, "b"),  # its base64 has a plus sign
    ],
)
def test_dates_and_filters_of_real_clients(parameters: dict[str, str], answered: str) -> None:
    with Sandbox([project(*MARCH)]) as sandbox:
        assert ids(sandbox, **parameters) == list(answered)


def test_filters_may_be_repeated() -> None:
    with Sandbox([project(*MARCH)]) as sandbox:
        query = "from=2026-03-01&to=2026-03-03&filters=billsec=7&filters=uniqueid=a"
        response = requests.get(
            f"{sandbox.url}/calls/list?{query}", headers={"Auth-key": KEY}, timeout=10
        )
        assert response.json() == []


def test_unknown_parameters_are_ignored_unless_it_is_strict(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    more = {"project_id": "1", "projectId": "1", "limit": "1", "token": "x", "auth": "y"}
    with Sandbox([project(*MARCH)]) as sandbox:
        asked = {"from_": "2026-03-01", "to": "2026-03-03", **more}
        assert get(sandbox, **asked).status_code == 400
        monkeypatch.setattr(Sandbox, "strict", False)
        assert len(get(sandbox, **asked).json()) == 3


def test_the_keys_of_a_row_have_the_order_of_the_fields() -> None:
    with Sandbox([project(*MARCH)]) as sandbox:
        fields = "uniqueid,caller,calldate,pool_name"
        (row, *_) = get(sandbox, from_="2026-03-01", fields=fields).json()
        assert ",".join(row) == fields


@pytest.mark.parametrize("path", ["/sipstatus/online", "/sipstatus/speaking"])
def test_nobody_is_on_the_line(path: str) -> None:
    with Sandbox([project()]) as sandbox:
        assert get(sandbox, path).json() == []
        assert get(sandbox, path, key="wrong").status_code == 401


def rpc(sandbox: Sandbox, body: object, key: str = KEY) -> requests.Response:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Auth-key": key, "Content-Type": "application/json"}
    return requests.post(f"{sandbox.url}/api/json-rpc", data, headers=headers, timeout=10)


def test_the_staff_list_comes_by_json_rpc() -> None:
    staff = [{"id": 7, "name": "Олена"}]
    with Sandbox([project(staff=staff)]) as sandbox:
        number = next(iter(sandbox.projects))
        asked = {
            "jsonrpc": "2.0",
            "id": 3,
            "method": "getProjectStaffListAndDirections",
            "params": {"projectId": number, "departmentsFullFormat": True},
        }
        assert rpc(sandbox, asked).json() == {"jsonrpc": "2.0", "id": 3, "result": staff}
        assert rpc(sandbox, asked, key="wrong").status_code == 401
        for wrong, code in (
            ({**asked, "method": "getEverything"}, -32601),
            ({**asked, "params": {"projectId": number + 1}}, -32602),
            ([], -32600),
            (b"{", -32700),
        ):
            assert rpc(sandbox, wrong).json()["error"]["code"] == code
        assert rpc(sandbox, b"x" * 100_000).status_code == 413


def test_the_requests_of_the_r_package_are_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("Rscript") is None:
        pytest.skip("R is missing: apt-get install r-base-core r-cran-httr2 r-cran-readr")
    rows = [*MARCH[:2], call("2026-03-02T00:00:01+0200", "c", caller="3")]
    rows[1] |= {"recording_wav": "https://example/b.wav", "has_recording": "1"}
    monkeypatch.setenv("RS_API_KEY", KEY)
    with Sandbox([project(*rows)]) as sandbox:
        script = str(Path(__file__).with_name("ringostat.R"))
        said = subprocess.run(
            ["Rscript", "--vanilla", script, sandbox.url, "2026-03-01", "2026-03-01", "b"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert said.returncode == 0, said.stderr
    assert said.stdout.splitlines() == [
        "a|380441112233|A, caller=1|NA",
        "b|380671112233|B|7",
        "1|https://example/b.wav|1",
    ]


# ----------------------------------------------------------------------- order, merge, cap and form


def test_calls_come_in_the_order_asked_for():
    rows = [call(f"2026-03-0{day}T10:00:00+0200", str(day)) for day in (2, 3, 1)]
    with Sandbox([project(*rows)]) as sandbox:
        assert ids(sandbox, order="calldate asc") == ["1", "2", "3"]
        assert ids(sandbox, order="calldate desc") == ["3", "2", "1"]


@pytest.mark.parametrize(("merge", "answered"), [("0", "abcde"), ("1", "acde"), ("2", "ac")])
def test_any_merge_but_0_loses_calls(merge, answered):
    rows = [
        call("2026-03-01T10:00:00+0200", "a", caller="1"),
        call("2026-03-01T23:30:00+0200", "b", caller="1"),
        call("2026-03-01T23:40:00+0200", "c", caller="2"),
        call("2026-03-01T22:30:00+0000", "d", caller="1"),  # the next day in Kyiv
        call("2026-03-02T23:40:00+0200", "e", caller="2"),
    ]
    with Sandbox([project(*rows)]) as sandbox:
        assert ids(sandbox, merge=merge) == list(answered)


@pytest.mark.parametrize(
    ("over_cap", "answered"), [("cut_end", "abc"), ("cut_start", "bcd"), ("none", "abcd")]
)
def test_past_the_row_cap_calls_are_lost_as_set(over_cap, answered):
    rows = [call(f"2026-03-01T10:00:0{n}+0200", "abcd"[n]) for n in range(4)]
    with Sandbox([project(*rows)], row_cap=3, over_cap=over_cap) as sandbox:
        assert ids(sandbox) == list(answered)
        assert ids(sandbox, to="2026-03-01 10:00:02") == ["a", "b", "c"]


def test_past_the_row_cap_an_error_says_so_where_set():
    rows = [call(f"2026-03-01T10:00:0{n}+0200") for n in range(4)]
    with Sandbox([project(*rows)], row_cap=3, over_cap="error") as sandbox:
        response = get(sandbox, to="2026-03-01 12:00:00")
        assert response.status_code == 400
        assert "no more than 3 calls in one request" in response.text
    with pytest.raises(ValueError, match="over_cap"):
        Sandbox([], over_cap="cut")


def test_csv_holds_the_same_calls():
    row = call("2026-03-01T10:00:00+0200", "a", pool_name="Щит, «левый»", billsec=7)
    with Sandbox([project(row)]) as sandbox:
        response = get(
            sandbox,
            from_="2026-03-01 00:00:00",
            fields="uniqueid,pool_name,billsec,landing",
            export_type="csv",
        )
    answered = list(csv.DictReader(io.StringIO(response.content.decode()), delimiter=";"))
    assert answered == [
        {"uniqueid": "a", "pool_name": "Щит, «левый»", "billsec": "7", "landing": ""}
    ]


def test_any_text_arrives_as_it_is():
    odd = "\u0000 \ud83d \U0001f4de\n\"\\ 'я'"
    with Sandbox([project(call("2026-03-01T10:00:00+0200", odd))]) as sandbox:
        assert ids(sandbox) == [odd]


# ----------------------------------------------------------------------------------- for the tests


def test_calls_may_change_between_requests():
    kyiv = project(call("2026-03-01T10:00:00+0200", "a"), call("2026-03-01T11:00:00+0200", "b"))
    with Sandbox([kyiv]) as sandbox:
        assert ids(sandbox) == ["a", "b"]
        kyiv.calls[0]["calldate"] = "2026-03-01T12:00:00+0200"
        assert ids(sandbox) == ["b", "a"]
        kyiv.calls[1] = call("2026-03-01T13:00:00+0200", "c")
        assert ids(sandbox) == ["a", "c"]
        del kyiv.calls[0]
        assert ids(sandbox) == ["c"]
        sandbox.project(1).calls = [call("2026-03-01T10:00:00+0200", "d")]
        assert ids(sandbox) == ["d"]


def test_requests_are_noted_and_connections_kept_open():
    with Sandbox([project()]) as sandbox, requests.Session() as session:
        for order in ("calldate asc", "calldate desc"):
            response = session.get(
                sandbox.url + "/calls/list",
                params={"order": order},
                headers={"Auth-key": KEY},
                timeout=10,
            )
            assert response.headers.get("Connection") != "close"
            assert int(response.headers["Content-Length"]) == len(response.content)
        assert sandbox.requests == [
            ("/calls/list", {"order": "calldate asc"}),
            ("/calls/list", {"order": "calldate desc"}),
        ]


def test_serve_says_how_to_ask_it_and_ends_on_ctrl_c():
    program = (
        # What a shell starts in the background ignores Ctrl-C, and hands that on.
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "from loader.sandbox import SandboxProject, serve;"
        "calls = [{'calldate': day + 'T12:00:00+0300'} for day in ('2024-06-01', '2024-06-02')];"
        "serve([SandboxProject(1, 'sandbox-key-1', 'Europe/Kyiv', calls)])"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        text=True,
    ) as serving:
        try:
            said = [serving.stdout.readline() for _ in range(3)]
            url, headers = said[0].split()[5].rstrip(";"), {"Auth-key": KEY}
            assert requests.get(url + "/sipstatus/online", headers=headers, timeout=10).json() == []
            assert KEY in said[1]
            assert said[2].startswith(f"Try: curl -H 'Auth-key: {KEY}' '{url}/calls/list?from=")
            asked = shlex.split(said[2])[-1]
            (row,) = requests.get(asked, headers=headers, timeout=10).json()
            assert row["calldate"].startswith("2024-06-02")
            serving.send_signal(signal.SIGINT)
            assert serving.wait(timeout=10) == 0
        finally:
            serving.kill()


# ------------------------------------------------------------------------------- the demo's account


@pytest.fixture(scope="module")
def account() -> list[SandboxProject]:
    return demo_account(NOW)


@pytest.fixture(scope="module")
def calls(account) -> list[dict[str, object]]:
    return [row for one in account for row in one.calls]


def seed(name: str) -> list[dict[str, str]]:
    with (SEEDS / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def pools(one: SandboxProject) -> set[str]:
    return {row["pool_name"] for row in one.calls if row["pool_name"]}


def configured_pools(project_id: int) -> set[str]:
    return {
        channel["parameter_value"]
        for channel in seed("static_channels")
        if channel["project_id"] == str(project_id) and channel["parameter"] == "pool_name"
    }


def test_the_account_holds_about_20_000_calls_of_120_whole_days_before_today(account, calls):
    assert 19_000 < len(calls) < 21_000
    days = {TODAY - timedelta(days=n) for n in range(1, 121)}
    for one in account:
        assert {date.fromisoformat(row["calldate"][:10]) for row in one.calls} == days
    assert [one.time_zone for one in account] == ["Europe/Kyiv", "Asia/Almaty"]


def test_the_account_ends_with_yesterday_in_each_projects_zone():
    """20:00 UTC: in Kyiv it is still the same day, in Almaty it is tomorrow."""
    kyiv, almaty = demo_account(NOW.replace(hour=20))
    assert max(row["calldate"] for row in kyiv.calls)[:10] == "2026-11-22"
    assert max(row["calldate"] for row in almaty.calls)[:10] == "2026-11-23"


def test_a_day_has_the_same_calls_whenever_it_is_asked_for(account):
    for now, later in zip(account, demo_account(NOW + timedelta(days=30)), strict=True):
        first_day = (TODAY - timedelta(days=90)).isoformat()
        kept = [row for row in now.calls if row["calldate"] >= first_day][:-1]  # it still rings
        assert len(kept) > 5_000
        kept, asked_later = without_what_broke(kept), without_what_broke(later.calls)
        assert asked_later[: len(kept)] == kept
    assert demo_account(NOW) == account


def without_what_broke(calls: list[dict[str, object]]) -> list[dict[str, object]]:
    """Without the clients of the dead number and of the site that lost the script: they broke a
    number of days before today, whatever day that is."""
    broken = {
        row["caller"] for row in calls if row["pool_name"] in (DEAD_POOL, POOL_WITHOUT_VISITS)
    }
    named = broken - {"anonymous"}
    return [
        row
        for row in calls
        if row["pool_name"] not in (DEAD_POOL, POOL_WITHOUT_VISITS)
        and not named & {row["caller"], row["dst"]}
    ]


def test_rows_have_the_shape_of_the_vendors_sample(account, calls):
    for name, kind in SAMPLE_TYPES.items():
        values = [row[name] for row in calls if row.get(name) is not None]
        assert sum(type(value) is kind for value in values) > 0.95 * len(values), name
    for one in account:
        assert all(row["call_card"].endswith(f"?project_id={one.project_id}") for row in one.calls)


def test_rows_have_what_makes_answers_hard_to_read(calls):
    absent = {name for name in SAMPLE_TYPES for row in calls if name not in row}
    null = {name for name in SAMPLE_TYPES for row in calls if row.get(name, "") is None}
    assert {"utm_content", "landing"} <= absent
    assert {"pool_name", "connected_with", "utm_source"} <= null
    assert {type(row["billsec"]) for row in calls} == {int, str}
    assert {type(row["unique_call"]) for row in calls} == {int, str, bool}
    assert {"", None, "(direct)", "(not set)"} <= {row["utm_source"] for row in calls}
    assert {-1, "-1", 1} <= {row["category_number"] for row in calls}
    assert any(row["uniqueid"] == "" for row in calls)


def test_an_id_names_one_call(account):
    for one in account:
        named = [row["uniqueid"] for row in one.calls if row["uniqueid"]]
        assert len(named) == len(set(named))


def test_the_mix_of_calls_looks_real(calls):
    types = Counter(row["call_type"] for row in calls)
    assert set(types) == {"in", "out", "callback", "transitin", "transitout"}
    assert types["in"] > 0.7 * len(calls)

    dispositions = Counter(row["disposition"].upper().replace("_", " ") for row in calls)
    conversations = sum(dispositions[name] for name in ("ANSWERED", "PROPER", "REPEATED"))
    assert 0.6 < conversations / len(calls) < 0.85
    assert {
        "NO ANSWER", "BUSY", "FAILED", "NO-FORWARD", "VOICEMAIL", "WRONG EXTENSION",
        "NO EXTENSION", "CLIENT NO ANSWER", "FAILED FORBIDDEN DESTINATION", "DECLINE",
        "IN PROGRESS",
    } <= set(dispositions)  # fmt: skip
    assert len({row["disposition"] for row in calls}) > len(set(dispositions))  # spellings vary

    hours = Counter(int(row["calldate"][11:13]) for row in calls)
    assert hours[10] > 20 * hours[3]
    weekdays = Counter(date.fromisoformat(row["calldate"][:10]).weekday() for row in calls)
    assert weekdays[6] < 0.7 * weekdays[0]


def test_callers_come_back_and_some_hide_their_number(account):
    for one in account:
        incoming = [row for row in one.calls if row["call_type"] in ("in", "callback")]
        by_caller = Counter(row["caller"] for row in incoming)
        assert 0.01 < by_caller.pop("anonymous") / len(incoming) < 0.05
        assert 0.2 < sum(times > 1 for times in by_caller.values()) / len(by_caller) < 0.5
        assert max(int(row["call_counter"]) for row in incoming) > 4


def test_a_caller_calls_two_projects_within_minutes(account):
    clinic, dealer = (
        {
            row["caller"]: datetime.strptime(row["calldate"], "%Y-%m-%dT%H:%M:%S%z")
            for row in one.calls
        }
        for one in account
    )
    shared = {caller for caller in clinic.keys() & dealer.keys() if caller.isdigit()}
    assert len(shared) > 10
    assert all(abs(clinic[one] - dealer[one]) < timedelta(minutes=10) for one in shared)


def test_numbers_belong_to_nobody(calls):
    """After the country code 380 or 7 comes a 0, with which no area code begins."""
    for row in calls:
        for number in (row["caller"], row["caller_number"], row["dst"], row["n_alias"]):
            if number not in ("", "anonymous", '"reception" <101>'):
                assert len(number) == (12 if number.startswith("3800") else 11), number
                assert number.startswith(("3800", "70")), number


def test_dynamic_pools_have_visits_and_static_ones_none(account):
    for one in account:
        with_visit = Counter(row["pool_name"] for row in one.calls if row["remote_ip"])
        for pool in pools(one):
            share = with_visit[pool] / sum(row["pool_name"] == pool for row in one.calls)
            is_dynamic = pool.startswith(("Динамічний", "Динамический", "Performance"))
            least = 0.7 if pool == POOL_WITHOUT_VISITS else 0.85
            assert share > least if is_dynamic else share == 0


def test_a_number_is_dead_and_a_site_passes_on_no_visits(account: list[SandboxProject]) -> None:
    clinic, dealer = (one.calls for one in account)
    days = [row["calldate"][:10] for row in clinic if row["pool_name"] == DEAD_POOL]
    assert len(days) > 200
    last = TODAY - timedelta(days=25)
    assert last - timedelta(days=2) <= date.fromisoformat(max(days)) <= last
    of_pool = [row for row in dealer if row["pool_name"] == POOL_WITHOUT_VISITS]
    broken_on = (TODAY - timedelta(days=18)).isoformat()
    after = [row for row in of_pool if row["calldate"] >= broken_on]
    assert len(after) > 20
    assert not any(row["remote_ip"] or row["utm_campaign"] for row in after)
    assert sum(row["utm_campaign"] == "service" for row in of_pool) > 200


def test_spend_is_of_two_platforms_and_of_every_day() -> None:
    rows = demo_spend(TODAY)
    assert rows == demo_spend(TODAY)
    assert len({row.platform for row in rows}) == 2
    days = {TODAY - timedelta(days=n) for n in range(1, 121)}
    by_id = {
        row.campaign_id: {one.campaign_name for one in rows if one[2] == row[2]} for row in rows
    }
    for campaign in by_id:
        assert {row.date_day for row in rows if row.campaign_id == campaign} == days
    assert all(row.spend > 0 for row in rows)
    assert [names for names in by_id.values() if len(names) > 1] == [
        {"Імплантація", "Імплантація: Київ"}
    ]


def test_a_campaign_is_spent_on_by_id_by_name_by_a_typo_or_for_nothing(
    account: list[SandboxProject],
) -> None:
    for one in account:
        called = {row["utm_campaign"] for row in one.calls}
        spent = {
            (row.campaign_id, row.campaign_name)
            for row in demo_spend(TODAY)
            if row.project_id == one.project_id
        }
        by_id = {number for number, _ in spent if number in called}
        by_name = {name for _, name in spent if name in called}
        neither = {name for number, name in spent if not {number, name} & called}
        if one is account[0]:
            assert len(by_id) == 3
            assert by_name == {"vidbiluvannya"}
            assert neither == {"implantacia", "Брекети: медійна"}
            assert "implantaciya" in called
        else:
            assert by_id == neither == set()
            assert by_name == {"new_cars", "service", "trade_in"}


def test_what_channels_cost_is_known_for_the_days_of_the_account() -> None:
    channels = {
        (row["project_id"], row["traffic_source"], row["traffic_type"], row["campaign"])
        for row in seed("static_channels")
    }
    costs: dict[tuple[str, ...], list[tuple[date, date]]] = {}
    for row in seed("channel_costs"):
        label = (row["project_id"], row["traffic_source"], row["traffic_type"], row["campaign"])
        days = (date.fromisoformat(row["starts_on"]), date.fromisoformat(row["ends_on"]))
        costs.setdefault(label, []).append(days)
    assert costs.keys() < channels
    assert {label[0] for label in costs} == {"11111", "22222"}
    assert any(label[3] == DEAD_POOL for label in costs)
    for n in range(1, 121):
        day = TODAY - timedelta(days=n)
        known = [label for label, all_days in costs.items() for a, b in all_days if a <= day <= b]
        assert len(known) == len(costs) - 1, day  # one billboard shows two offers in turn


def test_the_account_has_what_live_accounts_have(account: list[SandboxProject]) -> None:
    for one in account:
        assert one.calls[-1]["disposition"] == "CALLING"
        nodes = {row["uniqueid"].split("_")[0] for row in one.calls if row["uniqueid"]}
        assert len(nodes) >= 2
        assert all(
            row["recording"].split("?")[0].endswith(".wav")
            for row in one.calls
            if row["billsec"] not in (0, "0")
        )
        staff = {person["id"] for person in one.staff}
        assert {row["employee_number"] for row in one.calls} == {-1, *staff}
        logins = {login for person in one.staff for login in person["sip"]}
        assert logins < {row["connected_with"] for row in one.calls}
        assert any(row["connected_with"] and row["connected_with"].isdecimal() for row in one.calls)

        seen, legs, at_once = {}, 0, 0
        for row in one.calls:
            if row["call_type"] == "transitin" and row["caller"] in seen:
                begun_at = seen[row["caller"]]
                legs += 1
                at_once += begun_at == row["calldate"]
            seen[row["caller"]] = row["calldate"]
        assert legs > 200
        assert at_once > 30
        for words in ({"disposition": ""}, {"disposition": "ANSWERED", "billsec": 0}):
            assert any(words.items() <= row.items() for row in one.calls), words
    clinic = account[0].calls
    by_utm = [row for row in clinic if row["utm_source"] == "google" and row.get("landing")]
    assert 0.2 < sum(not row["client_id"] for row in by_utm) / len(by_utm) < 0.45
    ads = [row for row in clinic if str(row["utm_campaign"]).isdecimal()]
    assert any(str(row.get("utm_content")).startswith("gclid_") for row in ads)
    assert any(row["utm_medium"] == row["pool_name"] == "Performance Max" for row in ads)
    assert {row["category_mark"] for row in clinic} >= {0, 900, 14000}


def test_some_static_pools_are_mapped_some_not_and_some_nearly(account):
    twins = str.maketrans("abcehikmoptxy", "авсенікмортху")
    foldings = {
        "space": lambda name: " ".join(name.split()),
        "case": lambda name: " ".join(name.split()).lower(),
        "letter": lambda name: " ".join(name.split()).lower().translate(twins),
    }
    for one in account:
        configured = configured_pools(one.project_id)
        assert configured < pools(one)
        unmapped = pools(one) - configured
        nearly = {}
        for reason, fold in foldings.items():
            found = {pool for pool in unmapped if fold(pool) in map(fold, configured)}
            nearly[reason] = found - set().union(*nearly.values())
        assert all(nearly.values()), nearly
        assert unmapped - set().union(*nearly.values())


def test_each_configured_channel_is_used(account):
    by_id = {one.project_id: one.calls for one in account}
    channels = seed("static_channels")
    assert {channel["parameter"] for channel in channels} == {
        "dst", "n_alias", "pool_name", "utm_source",
    }  # fmt: skip
    assert any(channel["valid_from"] for channel in channels)
    for channel in channels:
        rows = by_id[int(channel["project_id"])]
        values = [row.get(channel["parameter"]) for row in rows]
        assert values.count(channel["parameter_value"]) > 100, channel


def test_an_unmapped_static_pool_has_utm_values_of_its_own(account):
    flyers = [row for row in account[0].calls if row["pool_name"] == "Листівки: Позняки"]
    assert {row["utm_source"] for row in flyers} == {"flyers"}
    assert {row["utm_campaign"] for row in flyers} == {"poznyaky"}


def test_the_seeds_describe_the_account(account):
    projects = seed("projects")
    assert [(int(row["project_id"]), row["time_zone"]) for row in projects] == [
        (one.project_id, one.time_zone) for one in account
    ]
    assert len({row["auth_key_env"] for row in projects}) == 2
    assert all(row["load_from"] < "2026-07-01" for row in projects)

    tags = seed("kpi_tags")
    by_id = {one.project_id: one.calls for one in account}
    for tag in tags:
        wanted = tag["parameter_value"].upper()
        assert any(
            str(row.get(tag["parameter"])).upper() == wanted
            for row in by_id[int(tag["project_id"])]
        ), tag


def test_one_demo_project_refuses_fields(account):
    with Sandbox(account) as sandbox:
        fields = "calldate,unique_call"
        clinic = get(sandbox, key="sandbox-key-11111", fields=fields, to="2026-11-23 00:00:00")
        dealer = get(sandbox, key="sandbox-key-22222", fields=fields, to="2026-11-23 00:00:00")
        assert clinic.json()
        assert dealer.text == "incorrect field name"


def test_the_row_cap_cuts_the_demo_account_too(account):
    with Sandbox(account) as sandbox:
        year = {"from_": "2026-01-01 00:00:00", "to": "2026-12-31 00:00:00"}
        response = get(sandbox, key="sandbox-key-11111", fields="calldate,caller", **year)
        assert len(response.json()) == 6500
