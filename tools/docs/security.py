"""Makes `docs/security.md` from the corpus of hostile inputs, so that it lists what is tested, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

KEYS: Final = ("what", "enters", "must")
CORPUS: Final = Path(__file__).resolve().parents[2] / "tests" / "data" / "hostile"

_PAGE: Final = """\
<!-- Made from tests/data/hostile/ by `make docs`; change it there. -->
# Security

What comes from outside is data. It is cleaned before it is kept, sealed when a task is handed over, and defused where
it is quoted; nothing of it decides, and nothing of it is run. Who somebody is, their numeric id tells, and what they
may do, GitHub is asked at that moment. The [README](../README.md#security) says it in short, and
[Architecture](architecture.md) how it is built.

Below are the {count} hostile inputs that the tests put through the door by which each would come: the rules that read
text, the endpoints over HTTP, or the whole bot beside a sandbox. The inputs themselves are in
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
    yield from ("| what | enters by | what must come of it |", "| --- | --- | --- |")
    for entry in corpus.values():
        yield f"| {' | '.join(_cell(entry[key]) for key in KEYS)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
