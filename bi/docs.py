"""The project's documentation as one page, `site/index.html`: models, columns, lineage.

`python -m bi.docs` takes the columns' types from the warehouse that `bi.warehouse` chooses.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from bi import warehouse
from loader import ROOT
from loader.commands.dbt import dbt

PAGE = ROOT / "site" / "index.html"


def build() -> int:
    """Writes the page; dbt's exit code."""
    warehouse.choose()
    with tempfile.TemporaryDirectory() as folder:
        code = dbt("docs", "generate", "--static", "--quiet", "--target-path", folder)
        if code == 0:
            PAGE.parent.mkdir(exist_ok=True)
            shutil.copy(Path(folder, "static_index.html"), PAGE)
    return code


def main() -> None:
    with warehouse.errors_as_exit_codes():
        code = build()
    if code == 0:
        print(PAGE)
    sys.exit(code)


if __name__ == "__main__":
    main()
