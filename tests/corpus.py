"""The corpus of hostile inputs, `tests/data/hostile/*.yml`: what each is, where it enters, and what must come of it.

An entry has `what`, `enters`, `must` (the sentence that docs/security.md prints) and a `door`, by which its test finds
it. Where its input is too long to be written down, it says how it is made: `{repeat: "<!--", times: 16000}`, between
`before` and `after`.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml

CORPUS = Path(__file__).parent / "data" / "hostile"
Entry = dict[str, Any]


@cache
def entries() -> dict[str, Entry]:
    """Every entry by its name, in the order of the files."""
    entries_by_name: dict[str, Entry] = {}
    for path in sorted(CORPUS.glob("*.yml")):
        for name, entry in yaml.safe_load(path.read_text("utf-8")).items():
            assert name not in entries_by_name, f"{name} appears twice"
            entries_by_name[name] = entry
    return entries_by_name


def entry_names(*doors: str) -> list[str]:
    """The names of the entries that enter by these doors."""
    return [name for name, entry in entries().items() if entry["door"] in doors]


def hostile_input(name: str) -> Any:
    """The input of an entry."""
    data = entries()[name]["input"]
    if isinstance(data, dict) and "repeat" in data:
        return data.get("before", "") + data["repeat"] * data["times"] + data.get("after", "")
    return data
