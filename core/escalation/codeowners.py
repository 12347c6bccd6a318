"""Parses CODEOWNERS and finds the owners of files.

The last line that matches counts; a line without owners leaves a file without an owner. Patterns are those of
.gitignore without `!` and `[…]`, as on GitHub. They come from outside, so they are matched without regular expressions:
no pattern takes longer than its length times that of the path.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

PATHS: Final = (".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS")  # the first that exists counts, as on GitHub
MAX_TEXT_LENGTH: Final = 100_000  # characters; longer files are ignored, as GitHub does over 3 MB
MAX_RULES: Final = 2_000
MAX_FILES: Final = 30  # files checked per task
MAX_OWNERS: Final = 5  # people notified for one task
_OWNER: Final = re.compile(r"@([A-Za-z0-9](?:-?[A-Za-z0-9])*(?:/[A-Za-z0-9._-]+)?)", re.ASCII)
_MAX_NAME_LENGTH: Final = 140
_MAX_PATTERN_LENGTH: Final = 300


@dataclass(frozen=True, slots=True)
class OwnershipRule:
    """One line: a pattern in parts, and the logins and teams that own what it matches (without `@`)."""

    parts: tuple[str, ...]  # between slashes; `**` is any number of folders
    only_directories: bool
    owners: tuple[str, ...]

    def matches(self, path: str) -> bool:
        """Whether the pattern matches this file, by its own name or by that of a folder above it."""
        names = path.split("/")
        # `docs/*` matches the files in docs, not in its subfolders; every other pattern includes what is below.
        matches_contents = self.only_directories or self.parts[-1] != "*"
        ends = range(1, len(names)) if matches_contents else ()
        full_length = () if self.only_directories else (len(names),)
        match_ends = _match_ends(self.parts, names)
        return any(end in match_ends for end in (*ends, *full_length))


def _match_ends(parts: Sequence[str], names: Sequence[str]) -> set[int]:
    """The numbers of path parts after which the whole pattern may be used up."""
    positions = {0}
    for part in parts:
        if part == "**":
            positions = set(range(min(positions), len(names) + 1)) if positions else set()
        else:
            positions = {
                position + 1 for position in positions if position < len(names) and _matches_name(part, names[position])
            }
    return positions


def _matches_name(pattern: str, name: str) -> bool:
    """Whether a name matches `*` and `?`, with the usual two pointers that backtrack to the latest star only."""
    if "*" not in pattern and "?" not in pattern:
        return pattern == name
    pattern_index = name_index = 0
    star_index, retry_index = -1, 0
    while name_index < len(name):
        if pattern_index < len(pattern) and pattern[pattern_index] == "*":
            star_index, retry_index = pattern_index, name_index
            pattern_index += 1
        elif pattern_index < len(pattern) and pattern[pattern_index] in ("?", name[name_index]):
            pattern_index, name_index = pattern_index + 1, name_index + 1
        elif star_index >= 0:
            retry_index += 1
            pattern_index, name_index = star_index + 1, retry_index
        else:
            return False
    return all(character == "*" for character in pattern[pattern_index:])


@lru_cache(maxsize=64)
def parse_owners(text: str) -> tuple[OwnershipRule, ...]:
    """The rules of a CODEOWNERS file. An invalid line is skipped, as on GitHub; nothing is raised."""
    if len(text) > MAX_TEXT_LENGTH:
        return ()
    rules: list[OwnershipRule] = []
    for line in text.splitlines():
        words = _split_line(line)
        if words and (rule := _parse_rule(words[0], words[1:])):
            rules.append(rule)
    return tuple(rules[-MAX_RULES:])  # the last rules win


def _split_line(line: str) -> list[str]:
    """The pattern (in which a backslash escapes a space or `#`) and the owners, up to a comment."""
    words: list[str] = [""]
    escaped = False
    for character in line:
        if escaped:
            words[-1] += character
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == "#":
            break
        elif character.isspace():
            words.append("")
        else:
            words[-1] += character
    return [word for word in words if word]


def _parse_rule(pattern: str, owners: Sequence[str]) -> OwnershipRule | None:
    if len(pattern) > _MAX_PATTERN_LENGTH or pattern.startswith("!") or "[" in pattern:
        return None
    only_directories = pattern.endswith("/")
    anchored = "/" in pattern.rstrip("/")
    parts = [part for part in pattern.split("/") if part]
    parts = [part for part, following in zip(parts, [*parts[1:], ""], strict=False) if not part == following == "**"]
    if not parts:
        return None
    if not anchored:
        parts.insert(0, "**")
    elif parts[-1] == "**":
        parts[-1:] = ["**", "*"]  # everything below, which is at least one name
    if not anchored and parts == ["**", "*"]:
        parts = ["**"]
    matches = (_OWNER.fullmatch(owner) for owner in owners)
    return OwnershipRule(
        tuple(parts),
        only_directories,
        tuple(match[1] for match in matches if match and len(match[1]) <= _MAX_NAME_LENGTH),
    )


def owners_of(text: str, files: Iterable[str]) -> tuple[str, ...]:
    """The owners of these files, most files first; empty if they have none."""
    rules = parse_owners(text)
    counts: Counter[str] = Counter()
    for path in list(files)[:MAX_FILES]:
        rule = next((rule for rule in reversed(rules) if rule.matches(path)), None)
        counts.update(dict.fromkeys(rule.owners, 1) if rule else {})
    return tuple(owner for owner, _ in counts.most_common(MAX_OWNERS))
