"""Makes `docs/security.md` from the corpus of hostile inputs, so that it lists what is tested, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

COLUMNS: Final = ("what", "enters", "must")
CORPUS: Final = Path(__file__).resolve().parents[2] / "tests" / "data" / "hostile"

_PAGE: Final = """\
<!-- Made from tests/data/hostile/ by `make docs`; change it there. -->
# Security

Input from outside is data. The bot cleans it before it stores it, fixes it when it assigns a task, and defuses it where
it quotes it. Input never decides anything and is never executed. The bot identifies accounts by numeric id, and asks
GitHub for permissions at the moment of use. The [README](../README.md#security) has a summary, and
[Architecture](architecture.md) explains the design.

The tests send the {count} hostile inputs below through the interface where each would arrive: the rules that read text,
the HTTP endpoints, or the whole bot with a sandbox. The inputs are in
[`tests/data/hostile`](../tests/data/hostile).

{parts}
"""


def security_page() -> str:
    """The whole page. Raises OSError where there is no corpus: an installed package has none."""
    files = [(path, yaml.safe_load(path.read_text(encoding="utf-8"))) for path in sorted(CORPUS.glob("*.yml"))]
    parts = "\n\n".join("\n".join(_corpus_section(path, corpus)) for path, corpus in files)
    return _PAGE.format(count=sum(len(corpus) for _, corpus in files), parts=parts)


def _corpus_section(path: Path, corpus: dict[str, dict[str, Any]]) -> Iterator[str]:
    description = path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
    yield from (f"## {path.stem.replace('-', ' ').capitalize()}", "", description, "")
    yield from ("| input | arrives by | expected result |", "| --- | --- | --- |")
    for entry in corpus.values():
        yield f"| {' | '.join(_cell(entry[key]) for key in COLUMNS)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
