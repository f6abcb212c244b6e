"""Makes the table of `README.md` from `results.json`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks import shapes
from benchmarks.transform import WHOLE, YEARS

README = Path(__file__).parent / "README.md"
BEGIN = "<!-- the table: written by `make bench` -->"
END = "<!-- the end of the table -->"


@dataclass(frozen=True)
class Line:
    """A row of the table. `is_met` None: the row has no target."""

    measure: str
    reached: str
    against: str
    ratio: str
    must_reach: str
    is_met: bool | None

    def __str__(self) -> str:
        met = {None: "", True: "yes", False: "**no**"}[self.is_met]
        cells = (self.measure, self.reached, self.against, self.ratio, self.must_reach, met)
        return f"| {' | '.join(cells)} |"


def table(results: dict) -> str:
    return "\n".join(_page(results))


def write(results: dict) -> None:
    """Puts the table into `README.md`."""
    text = README.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    README.write_text(f"{before}{BEGIN}\n\n{table(results)}\n{END}{after}", encoding="utf-8")
    return table


def _page(results: dict) -> Iterator[str]:
    yield "| measure | reached | against | ratio | must reach | met |"
    yield "|---|---:|---:|---:|---|---|"
    for part, lines in (("landing", _landing), ("transform", _transform)):
        if part in results:
            yield from map(str, lines(results[part]))
    yield ""
    for part in ("landing", "transform"):
        if part in results:
            yield _how(part, results[part])
    if "shapes" in results:
        found = results["shapes"]
        yield from shapes.table(found["shapes"])
        yield ""
        yield (
            f"Shapes: each measured once on {found['at']}, on {found['machine']}. Wanted: at most"
            " 4, 0.05 and 0.15 ×, and 50 ms; what misses that is bold.\n"
        )


def _landing(part: dict) -> Iterator[Line]:
    calls, of = part["calls"], _median_of(part)
    peers = {"dlt": of("dlt"), "target-postgres": of("singer")}
    faster = min(peers, key=peers.get)
    load, copy = of("load"), of("copy")
    yield Line(
        f"landing {calls:,} calls, API to raw, first time",
        f"{load:.1f} s ({calls / load:,.0f} calls a second)",
        "<br>".join(f"{name} {seconds:.1f} s" for name, seconds in peers.items()),
        "<br>".join(f"{seconds / load:.1f} × as fast" for seconds in peers.values()),
        "≥ 8 × the faster of them",
        peers[faster] / load >= 8,
    )
    yield _times("the same", load, "bare `COPY` of the same bytes", copy, 1.2)
    yield _times("the same again, nothing changed", of("load_again"), "the first time", load, 0.35)
    highest = {name: max(part["runs"][name]) for name in ("rss_tenth", "rss", "rss_again")}
    yield Line(
        f"peak RSS of the loader, {calls:,} calls",
        f"{highest['rss']:.0f} MB",
        f"{calls // 10:,} calls: {highest['rss_tenth']:.0f} MB",
        f"{highest['rss'] / highest['rss_tenth']:.2f} ×",
        "≤ 150 MB, the same for both",
        max(highest.values()) <= 150 and highest["rss"] <= 1.1 * highest["rss_tenth"],
    )


def _transform(part: dict) -> Iterator[Line]:
    of, facts = _median_of(part), part["facts"]
    calls, more_calls = f"{part['calls']:,}", f"{part['more_calls']:,}"
    full = of("full")
    typed = "one `create table as`"
    yield _times(f"full `dbt build`, models, {calls} calls", full, typed, of("typed"), 4)
    day = "an ordinary day (2,700 new calls, 1,000 changed ones) on "
    yield _times(day + calls, of("day"), "the full build", full, 0.05)
    yield _times(
        f"the same on {more_calls}", of("day_more"), f"the same on {calls}", of("day"), 1.5
    )
    edit = f"a channel edit that moves {facts['moved_percent']} % of the conversions"
    yield _times(edit, of("edit"), "the full build", full, 0.15)
    full_more = f"the full build of {more_calls}"
    yield _times(f"the same on {more_calls}", of("edit_more"), full_more, of("full_more"), 0.15)
    yield _times("a KPI-mode switch", of("kpi_switch"), "the full build", full, 0.15)
    yield _milliseconds("a year of `rpt_conversions_daily`, one project", of("daily"), 50)
    last = "the last 30 days of all projects by campaign, from `fct_conversions`"
    yield _milliseconds(last, of("last_30_days"), 300)
    for mart, limit in WHOLE.items():
        after = ", after a year of hourly loads of 100 projects"
        whole = f"all of `{mart}`{after if mart == 'rpt_load_status' else ''}"
        yield _milliseconds(whole, of(mart), limit)
    with_spend = f"the same ordinary day with {facts['rows_of_spend']:,} rows of spend"
    yield _times(with_spend, of("day_spend"), "the full build", full, 0.20)
    for mart in YEARS:
        yield _milliseconds(f"a year of `{mart}`, one project", of(mart), 100)
    build, parse = of("empty_build"), of("empty_parse")
    yield Line(
        "`dbt build` with all its tests, empty warehouse",
        f"{build:.1f} s",
        f"`dbt parse` {parse:.1f} s",
        f"{build - parse:.1f} s more",
        "≤ 12 s more",
        build - parse <= 12,
    )


def _times(measure: str, seconds: float, name: str, against: float, limit: float) -> Line:
    return Line(
        measure,
        f"{seconds:.2f} s",
        f"{name} {against:.2f} s",
        f"{seconds / against:.2f} ×",
        f"≤ {limit:g} ×",
        seconds <= limit * against,
    )


def _milliseconds(measure: str, seconds: float, limit: float) -> Line:
    reached = seconds * 1000
    return Line(measure, f"{reached:.0f} ms", "", "", f"≤ {limit} ms", reached <= limit)


def _median_of(part: dict) -> Callable[[str], float]:
    return lambda name: median(part["runs"][name])


def _how(part: str, result: dict) -> str:
    name = {"landing": "Landing", "transform": "Transformation"}[part]
    versions = ", ".join(f"{of} {version}" for of, version in result["versions"].items())
    counts = [f"{len(result['runs']['load' if part == 'landing' else 'full'])} runs"]
    if part == "landing":
        counts.append(f"{len(result['runs']['dlt'])} of the peers")
    text = (
        f"{name}: medians of {', '.join(counts)}, on {result['at']}, on {result['machine']},"
        f" at a load of {result['load']} before the first; {versions}."
    )
    if "facts" in result:
        facts = result["facts"]
        text += (
            f" The generated calls: {facts['bytes_a_call']:,} bytes each, {facts['conversions']:,}"
            f" conversions among {facts['calls']:,}, {facts['attribution_keys']:,} distinct"
            f" attribution keys, {facts['tag_keys']:,} tag keys."
        )
    return text + "\n"
