"""Makes `docs/security.md` from the corpus of hostile inputs, so that it lists what is tested, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

KEYS: Final = ("what", "enters", "must")
CORPUS: Final = Path(__file__).resolve().parent.parent / "tests" / "data" / "hostile"

_PAGE: Final = """\
<!-- Made from tests/data/hostile/ by `make docs`; change it there. -->
# Security

Input from outside is data. The bot cleans it before it stores it, copies it when it assigns a task, and defuses it
where it quotes it; no input decides anything, and the bot runs none of it. The bot identifies accounts by their
numeric id and asks GitHub for their permission at the moment of use. The [README](../README.md#security) has a
summary, and [Architecture](architecture.md) explains the design.

Below are the {count} hostile inputs of the tests. Each enters where a real one would: the rules that read text, the
endpoints over HTTP, or the whole bot with a sandbox. The inputs themselves are in
[`tests/data/hostile`](../tests/data/hostile).

{parts}
"""


def security_page() -> str:
    """The whole page. Raises OSError where there is no corpus: an installed package has none."""
    files = [(path, yaml.safe_load(path.read_text(encoding="utf-8"))) for path in sorted(CORPUS.glob("*.yml"))]
    parts = "\n\n".join("\n".join(_part(path, corpus)) for path, corpus in files)
    return _PAGE.format(count=sum(len(corpus) for _, corpus in files), parts=parts)


def _part(path: Path, corpus: dict[str, dict[str, Any]]) -> Iterator[str]:
    first = path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
    yield from (f"## {path.stem.replace('-', ' ').capitalize()}", "", first, "")
    yield from ("| what | enters by | expected result |", "| --- | --- | --- |")
    for entry in corpus.values():
        yield f"| {' | '.join(_cell(entry[key]) for key in KEYS)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
