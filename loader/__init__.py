"""The thin loader: Ringostat's call log over HTTP into the raw tables of a Postgres."""

from pathlib import Path

# The dbt project's folder: `seeds/`, `profiles.yml` and the embedded Postgres are found from here.
ROOT = Path(__file__).resolve().parent.parent
