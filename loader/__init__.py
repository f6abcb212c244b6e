"""The thin loader: Ringostat's call log over HTTP into the raw tables of a Postgres.

The path of a call, in order:

    projects.py     projects.csv → Project: what to load, in which zone, with which key
    windows.py      a period, cut into requests
    api.py          Ringostat over HTTP: what an answer means, what is tried again
    rows.py         an answer, split into rows
    landing.py      one window in one transaction: what is new, changed or gone
    load.py         the loop that joins them

Shared by them:

    raw.py          the raw tables (raw.sql), the lock of a project, the load log
    clock.py        moments, and a zone's wall clock
    csv_file.py     a CSV whose cells have file, line and column
    database.py     where Postgres is
    settings.py     all RINGOSTAT_* variables
    call_card.py    the only field that names the project of a call
    masking.py      hides secrets and personal data in logs
    deletions.py    calls and forms that must not come back
    errors.py       how a command fails

Besides:

    forms.py        files of form requests
    journal.py      lines that are on disk before they count as saved
    alerts.py       tells a webhook what failed and what recovered
    workbook.py     an XLSX file, read safely
    commands/       the command `ringostat`, one file per subcommand
    sandbox/        a made-up Ringostat for the demo and the tests
"""

from pathlib import Path

# The dbt project's folder: `seeds/`, `profiles.yml` and the embedded Postgres are found from here.
ROOT = Path(__file__).resolve().parent.parent
