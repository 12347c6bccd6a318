"""As which account each family of agents acts on GitHub: data, in `identities.yml`."""

from functools import cache
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter

from config.yaml_reader import read_yaml

IDENTITIES_FILE: Final = Path(__file__).with_name("identities.yml")
_TABLE: Final = TypeAdapter(dict[str, int])


@cache
def load_identities() -> dict[int, str]:
    """The family of agents (`claude`, `codex`, …) by the numeric id of its account.

    Raises ConfigError or pydantic's ValidationError when the file, which comes with the program, is not right.
    """
    document = read_yaml(IDENTITIES_FILE.read_text(encoding="utf-8"), str(IDENTITIES_FILE))
    return {number: family for family, number in _TABLE.validate_python(document.data).items()}


def is_of_family(agent: str, family: str) -> bool:
    """Whether an agent of a configuration is of this family: `claude` and `claude-…` are Claude."""
    return agent == family or agent.startswith(f"{family}-")
