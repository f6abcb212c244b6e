"""The files in `assets/`, in the chosen language and for the chosen schema.

`python -m bi.superset.bundle FILE.zip` writes them as another Superset imports them.
"""

from __future__ import annotations

import argparse
import sys
import zipfile
from pathlib import Path

import yaml

from bi.superset.words import translated
from loader import settings
from loader.errors import ConfigurationError

ASSETS = Path(__file__).with_name("assets")


def assets(language: str) -> dict[str, str]:
    """The text of each file, by its path in `assets/`."""
    marts = settings.schema("marts")
    found = {}
    for file in sorted(ASSETS.rglob("*.yaml")):
        text = file.read_text(encoding="utf-8").replace("ringostat_marts", marts)
        asset = translated(yaml.safe_load(text), language)
        found[file.relative_to(ASSETS).as_posix()] = yaml.safe_dump(asset, allow_unicode=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    file = parser.parse_args().file
    try:
        texts = assets(settings.language())
        with zipfile.ZipFile(file, "w") as bundle:
            for path, text in texts.items():
                bundle.writestr(f"assets/{path}", text)
    except (ConfigurationError, OSError) as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
