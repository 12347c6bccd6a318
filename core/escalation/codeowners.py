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
MAX_TEXT: Final = 100_000  # characters; longer files are ignored, as GitHub does over 3 MB
MAX_RULES: Final = 2_000
MAX_FILES: Final = 30  # files checked per task
MAX_OWNERS: Final = 5  # people notified for one task
_OWNER: Final = re.compile(r"@([A-Za-z0-9](?:-?[A-Za-z0-9])*(?:/[A-Za-z0-9._-]+)?)", re.ASCII)
_LONGEST_NAME: Final = 140
_LONGEST_PATTERN: Final = 300


@dataclass(frozen=True, slots=True)
class Rule:
    """One line: a pattern in parts, and the logins and teams that own what it matches (without `@`)."""

    parts: tuple[str, ...]  # between slashes; `**` is any number of folders
    only_folders: bool
    owners: tuple[str, ...]

    def matches(self, path: str) -> bool:
        """Whether the pattern matches this file, by its own name or by that of a folder above it."""
        names = path.split("/")
        # `docs/*` matches the files in docs, not in its subfolders; every other pattern includes what is below.
        below = self.only_folders or self.parts[-1] != "*"
        ends = range(1, len(names)) if below else ()
        whole = () if self.only_folders else (len(names),)
        reached = _reached(self.parts, names)
        return any(end in reached for end in (*ends, *whole))


def _reached(parts: Sequence[str], names: Sequence[str]) -> set[int]:
    """The numbers of path parts after which the whole pattern may be used up."""
    at = {0}
    for part in parts:
        if part == "**":
            at = set(range(min(at), len(names) + 1)) if at else set()
        else:
            at = {i + 1 for i in at if i < len(names) and _fits(part, names[i])}
    return at


def _fits(pattern: str, name: str) -> bool:
    """Whether a name matches `*` and `?`, with the usual two pointers that backtrack to the latest star only."""
    if "*" not in pattern and "?" not in pattern:
        return pattern == name
    p = n = 0
    star, mark = -1, 0
    while n < len(name):
        if p < len(pattern) and pattern[p] == "*":
            star, mark = p, n
            p += 1
        elif p < len(pattern) and pattern[p] in ("?", name[n]):
            p, n = p + 1, n + 1
        elif star >= 0:
            mark += 1
            p, n = star + 1, mark
        else:
            return False
    return all(c == "*" for c in pattern[p:])


@lru_cache(maxsize=64)
def parse_owners(text: str) -> tuple[Rule, ...]:
    """The rules of a CODEOWNERS file. An invalid line is skipped, as on GitHub; nothing is raised."""
    if len(text) > MAX_TEXT:
        return ()
    rules: list[Rule] = []
    for line in text.splitlines():
        words = _words(line)
        if words and (rule := _rule(words[0], words[1:])):
            rules.append(rule)
    return tuple(rules[-MAX_RULES:])  # the last rules win


def _words(line: str) -> list[str]:
    """The pattern (in which a backslash escapes a space or `#`) and the owners, up to a comment."""
    words: list[str] = [""]
    escaped = False
    for c in line:
        if escaped:
            words[-1] += c
            escaped = False
        elif c == "\\":
            escaped = True
        elif c == "#":
            break
        elif c.isspace():
            words.append("")
        else:
            words[-1] += c
    return [word for word in words if word]


def _rule(pattern: str, owners: Sequence[str]) -> Rule | None:
    if len(pattern) > _LONGEST_PATTERN or pattern.startswith("!") or "[" in pattern:
        return None
    only_folders = pattern.endswith("/")
    anchored = "/" in pattern.rstrip("/")
    parts = [part for part in pattern.split("/") if part]
    parts = [part for part, after in zip(parts, [*parts[1:], ""], strict=False) if not part == after == "**"]
    if not parts:
        return None
    if not anchored:
        parts.insert(0, "**")
    elif parts[-1] == "**":
        parts[-1:] = ["**", "*"]  # everything below, which is at least one name
    if not anchored and parts == ["**", "*"]:
        parts = ["**"]
    found = (_OWNER.fullmatch(owner) for owner in owners)
    return Rule(tuple(parts), only_folders, tuple(m[1] for m in found if m and len(m[1]) <= _LONGEST_NAME))


def owners_of(text: str, files: Iterable[str]) -> tuple[str, ...]:
    """The owners of these files, most files first; empty if they have none."""
    rules = parse_owners(text)
    counts: Counter[str] = Counter()
    for path in list(files)[:MAX_FILES]:
        rule = next((rule for rule in reversed(rules) if rule.matches(path)), None)
        counts.update(dict.fromkeys(rule.owners, 1) if rule else {})
    return tuple(owner for owner, _ in counts.most_common(MAX_OWNERS))
