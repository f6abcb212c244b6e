"""The thin loader: Ringostat's call log over HTTP into the raw tables of a Postgres.

The way of a call, in order:

    projects.py     projects.csv → Project: what to load, in which zone, with which key
    windows.py      a period, cut into requests
    api.py          Ringostat over HTTP: what an answer means, what is tried again
    rows.py         an answer, split into rows
    landing.py      one window in one transaction: what is new, changed or gone
    load.py         the loop that joins them

What they need:

    raw.py          the raw tables (raw.sql), the lock of a project, the load log
    clock.py        moments, and a zone's wall clock
    csv_file.py     a CSV whose cells have places
    database.py     where Postgres is
    settings.py     every RINGOSTAT_* variable
    call_card.py    the one field that names the project of a call
    masking.py      what a log must not hold
    deletions.py    calls and forms that must not come back
    errors.py       how a command fails

Beside it:

    forms.py        the other way in: files of form requests
    workbook.py     an XLSX file, read safely
    commands/       what `ringostat` does, a file for each command
    sandbox/        a made-up Ringostat to try things on
"""

from pathlib import Path

# The dbt project's folder: `seeds/`, `profiles.yml` and the embedded Postgres are found from here.
ROOT = Path(__file__).resolve().parent.parent
