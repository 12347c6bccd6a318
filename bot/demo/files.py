"""The files of the demo: the shop as it begins, and what the agents make of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

SHOP = Path(__file__).with_name("shop")
PRODUCT = Path(__file__).parents[2]  # the checkout: what a repository needs of ours is copied from there
FORM = ".github/ISSUE_TEMPLATE/task.yml"
# What docs/agents.md tells people to copy into their repository.
COPIED = (FORM, ".github/workflows/agent.yml", ".github/actions/run-agent")


class NoCheckout(RuntimeError):
    """A file of the product is not there; the text says which, and what to do."""


def tree(folder: Path) -> dict[str, str]:
    """Every text file below a folder, by its path in it. What Python compiled is left out."""
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(folder).as_posix(): path.read_text("utf-8") for path in paths}


def work(name: str) -> dict[str, str]:
    """What an agent writes for a task: whole files by their path in the repository."""
    return tree(SHOP / "work" / name)


def shop() -> dict[str, str]:
    """`acme/shop` before the first task, with the issue form and the agent workflow that we ship."""
    files = tree(SHOP / "start")
    for name in COPIED:
        source = _product(name)
        found = {name: source.read_text("utf-8")} if source.is_file() else tree(source)
        files |= found if source.is_file() else {f"{name}/{path}": text for path, text in found.items()}
    return files


def manifest() -> dict[str, Any]:
    """The App's manifest, `app.yml`."""
    found: dict[str, Any] = yaml.safe_load(_product("app.yml").read_text("utf-8"))
    return found


def _product(name: str) -> Path:
    path = PRODUCT / name
    if not path.exists():
        raise NoCheckout(f"{name} is missing: run the demo from a checkout of the project, with `make demo`")
    return path
