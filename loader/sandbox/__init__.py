"""A small Ringostat to try things on: the demo's and the tests' API, with seeds of its own."""

from pathlib import Path

from loader.sandbox.account import demo_account
from loader.sandbox.server import Sandbox, SandboxProject, serve

# `load_from` in there is long before the account begins, as it may be in life: empty months cost
# the loader a handful of requests.
SEEDS = Path(__file__).parent / "seeds"

__all__ = ["SEEDS", "Sandbox", "SandboxProject", "demo_account", "serve"]
