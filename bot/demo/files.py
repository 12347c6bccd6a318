"""Reads the demo's files: the initial shop, and the agents' work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

SHOP = Path(__file__).with_name("shop")
CHECKOUT = Path(__file__).parents[2]  # the checkout: what a repository needs of ours is copied from there
FORM = ".github/ISSUE_TEMPLATE/task.yml"
# What docs/agents.md tells users to copy into their repository.
COPIED_PATHS = (FORM, ".github/workflows/agent.yml", ".github/actions/run-agent")


class MissingCheckout(RuntimeError):
    """A file of the product is not there; the text says which, and what to do."""


def read_tree(folder: Path) -> dict[str, str]:
    """Every text file below a folder, by its path in it. What Python compiled is left out."""
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(folder).as_posix(): path.read_text("utf-8") for path in paths}


def solution_files(name: str) -> dict[str, str]:
    """What an agent writes for a task: whole files by their path in the repository."""
    return read_tree(SHOP / "work" / name)


def shop_files() -> dict[str, str]:
    """`acme/shop` before the first task, with the issue form and the agent workflow that we ship."""
    files = read_tree(SHOP / "start")
    for name in COPIED_PATHS:
        source = _checkout_path(name)
        copied = {name: source.read_text("utf-8")} if source.is_file() else read_tree(source)
        files |= copied if source.is_file() else {f"{name}/{path}": text for path, text in copied.items()}
    return files


def manifest() -> dict[str, Any]:
    """The App's manifest, `app.yml`."""
    data: dict[str, Any] = yaml.safe_load(_checkout_path("app.yml").read_text("utf-8"))
    return data


def _checkout_path(name: str) -> Path:
    path = CHECKOUT / name
    if not path.exists():
        raise MissingCheckout(f"{name} is missing: run the demo from a checkout of the project, with `make demo`")
    return path
