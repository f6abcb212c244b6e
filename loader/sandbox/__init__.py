"""A small Ringostat: the API of the demo and the tests, with seeds of its own."""

from pathlib import Path

from loader.sandbox.account import demo_account
from loader.sandbox.server import Sandbox, SandboxProject, serve
from loader.sandbox.spend import Spend, demo_spend

# Their `load_from` is long before the first call, as in real life: empty months cost the loader
# only a few requests.
SEEDS = Path(__file__).parent / "seeds"

__all__ = ["SEEDS", "Sandbox", "SandboxProject", "Spend", "demo_account", "demo_spend", "serve"]
