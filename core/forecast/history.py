"""Remembers which files similar work changed, and which files usually change together."""

from __future__ import annotations

import math
import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from core.forecast.file_index import FileIndex
from core.forecast.tokenize import words_of

_MERGED = re.compile(r"\AMerge (?:pull request #\d{1,9} from \S+|remote-tracking branch|branch)\b")

_TRAILER = re.compile(r"[A-Z][A-Za-z-]{1,40}-(?:[Bb]y|[Ii]d|[Oo]n): ")

KEPT = 300
"""Changes that are remembered, the latest ones. Older ones are about files that have changed since."""

ENOUGH = 20
"""Changes needed before shares of them are meaningful."""

WIDE = 50
"""A change of more files than this (a rename, a formatter) says nothing about any of them."""


@dataclass(frozen=True, slots=True)
class FinishedWork:
    """One finished change: its words, and the files that it changed."""

    words: frozenset[str]
    files: tuple[str, ...]

    @classmethod
    def of(cls, text: str, files: Iterable[str]) -> FinishedWork:
        """From its title and text."""
        return cls(words_of(text), tuple(sorted(set(files))))


class ChangeHistory:
    """The latest changes, oldest first, indexed so that similar ones are found quickly."""

    def __init__(self, done: Iterable[FinishedWork] = (), kept: int = KEPT) -> None:
        """`kept` is how many are remembered."""
        self._kept = kept
        self._done: deque[FinishedWork] = deque()
        self._with_word: Counter[str] = Counter()
        self._with_file: Counter[str] = Counter()
        for one in done:
            self.add(one)

    def __len__(self) -> int:
        return len(self._done)

    def __iter__(self) -> Iterator[FinishedWork]:
        return iter(self._done)

    def add(self, one: FinishedWork) -> None:
        """Remember a change; the oldest is forgotten if there are too many."""
        if not one.files or len(one.files) > WIDE:
            return
        self._done.append(one)
        self._with_word.update(one.words)
        self._with_file.update(one.files)
        if len(self._done) > self._kept:
            oldest = self._done.popleft()
            self._with_word.subtract(oldest.words)
            self._with_file.subtract(oldest.files)

    def changed(self, path: str) -> int:
        """How many changes contain this file."""
        return self._with_file[path]

    def usual(self, path: str) -> float:
        """The share of all changes that contain this file; 0 while there are too few."""
        return self._with_file[path] / len(self._done) if len(self._done) >= ENOUGH else 0.0

    def with_partner(self, tree: FileIndex) -> float:
        """How often a test was changed with what it tests, in the latest changes; the middle if unknown."""
        both = either = 1.0
        for one in list(self._done)[-ENOUGH * 5 :]:
            files = frozenset(one.files)
            for path in one.files:
                if partners := tree.partners(path):
                    either += 1
                    both += any(partner in files for partner in partners)
        return both / (either + 1)

    def rarity(self, word: str) -> float:
        """How much a word says, by how few texts contain it; 0 if all do (inverse document frequency)."""
        return math.log((len(self._done) + 1) / (self._with_word[word] + 1))

    def similar(self, words: frozenset[str], most: int) -> list[tuple[float, FinishedWork]]:
        """The most similar changes, with the cosine (0…1) of their words, weighted by rarity.

        Of equally similar ones the later comes first.
        """
        weight = {word: self.rarity(word) ** 2 for word in words}
        mine = math.sqrt(sum(weight.values()))
        if not mine:
            return []
        found = []
        for age, one in enumerate(reversed(self._done)):
            common = sum(weight[word] for word in words & one.words)
            if common:
                theirs = math.sqrt(sum(self.rarity(word) ** 2 for word in one.words))
                found.append((common / (mine * theirs), age, one))
        found.sort(key=lambda entry: (-entry[0], entry[1]))
        return [(likeness, one) for likeness, _, one in found[:most]]

    def together(self, path: str) -> Counter[str]:
        """For each other file, in how many changes it occurs together with this one."""
        found: Counter[str] = Counter()
        for one in self._done:
            if path in one.files:
                found.update(one.files)
        found.pop(path, None)
        return found


def words_for(message: str) -> str:
    """The words of a commit message: without trailers, and without GitHub's line about a merge.

    Below that line is the title of the pull request.
    """
    lines = [line for line in message.split("\n") if not _TRAILER.match(line)]
    first, rest = lines[0] if lines else "", "\n".join(lines[1:]).strip()
    return rest or first if _MERGED.match(first) else "\n".join(lines).strip()
