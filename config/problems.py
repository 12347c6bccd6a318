"""Describes problems of a configuration file so that its author can fix them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from pydantic_core import PydanticCustomError

# Each becomes an annotation on a pull request; a file with more problems is fixed in rounds.
MAX_PROBLEMS: Final = 200
_MAX_QUOTED: Final = 60


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem: its place (line and column count from 1), what is wrong, and what to write instead."""

    line: int
    column: int
    key_path: str
    message: str
    suggestion: str | None = None

    def __str__(self) -> str:
        prefix = f"`{self.key_path}`: " if self.key_path else ""
        hint = f"; {self.suggestion}" if self.suggestion else ""
        return f"{prefix}{self.message}{hint}"


class ConfigError(Exception):
    """A configuration file that cannot be used; `problems` has every problem found, in the file's order."""

    def __init__(self, path: str, problems: Sequence[Problem]) -> None:
        sorted_problems = sorted(problems, key=lambda problem: (problem.line, problem.column))
        listed = sorted_problems[:MAX_PROBLEMS]
        if len(sorted_problems) > MAX_PROBLEMS:
            remark = f"and {len(sorted_problems) - MAX_PROBLEMS} more problems after this one"
            listed.append(Problem(sorted_problems[MAX_PROBLEMS].line, 1, "", remark))
        self.path = path
        self.problems: tuple[Problem, ...] = tuple(listed)
        super().__init__("\n".join(f"{path}:{item.line}:{item.column}: {item}" for item in self.problems))


def quote(text: object) -> str:
    """Text from the file, safe to show in a message: one line, at most 60 characters, in backticks."""
    line = "".join(char if char.isprintable() and char != "`" else "'" for char in str(text))
    return f"`{line if len(line) <= _MAX_QUOTED else line[: _MAX_QUOTED - 1] + '…'}`"


def nearest_word(word: str, valid: Iterable[str], cutoff: float = 0.5) -> str | None:
    """The valid word that the author of `word` most likely meant, or None.

    Case does not count. `cutoff` is the required similarity, from 0 to 1 (`difflib`).
    """
    valid_by_lower = {valid_word.lower(): valid_word for valid_word in valid}
    matches = get_close_matches(word.lower()[:_MAX_QUOTED], valid_by_lower, n=1, cutoff=cutoff)
    return valid_by_lower[matches[0]] if matches else None


def validation_error(message: str, *, suggestion: str = "", key: str = "") -> PydanticCustomError:
    """An error for a validator to raise: what is wrong, what to do, which key it is about."""
    return PydanticCustomError("mistake", "{message}", {"message": message, "suggestion": suggestion, "key": key})
