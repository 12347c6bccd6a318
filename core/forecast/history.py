"""Remembers which files similar work changed, and which files usually change together."""

from __future__ import annotations

import math
import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from core.forecast.file_index import FileIndex
from core.forecast.tokenize import words_of

_MERGE_LINE = re.compile(r"\AMerge (?:pull request #\d{1,9} from \S+|remote-tracking branch|branch)\b")

_TRAILER = re.compile(r"[A-Z][A-Za-z-]{1,40}-(?:[Bb]y|[Ii]d|[Oo]n): ")

MAX_HISTORY = 300
"""Changes that are remembered, the latest ones. Older ones are about files that have changed since."""

MIN_HISTORY = 20
"""Changes needed before shares of them are meaningful."""

MAX_CHANGED_FILES = 50
"""A change of more files than this (a rename, a formatter) says nothing about any of them."""


@dataclass(frozen=True, slots=True)
class FinishedWork:
    """One finished change: its words, and the files that it changed."""

    words: frozenset[str]
    files: tuple[str, ...]

    @classmethod
    def from_text(cls, text: str, files: Iterable[str]) -> FinishedWork:
        """From its title and text."""
        return cls(words_of(text), tuple(sorted(set(files))))


class ChangeHistory:
    """The latest changes, oldest first, indexed so that similar ones are found quickly."""

    def __init__(self, finished_work: Iterable[FinishedWork] = (), max_size: int = MAX_HISTORY) -> None:
        """`max_size` is how many are remembered."""
        self._max_size = max_size
        self._finished: deque[FinishedWork] = deque()
        self._word_counts: Counter[str] = Counter()
        self._file_counts: Counter[str] = Counter()
        for work in finished_work:
            self.add(work)

    def __len__(self) -> int:
        return len(self._finished)

    def __iter__(self) -> Iterator[FinishedWork]:
        return iter(self._finished)

    def add(self, work: FinishedWork) -> None:
        """Remember a change; the oldest is forgotten if there are too many."""
        if not work.files or len(work.files) > MAX_CHANGED_FILES:
            return
        self._finished.append(work)
        self._word_counts.update(work.words)
        self._file_counts.update(work.files)
        if len(self._finished) > self._max_size:
            oldest = self._finished.popleft()
            self._word_counts.subtract(oldest.words)
            self._file_counts.subtract(oldest.files)

    def change_count(self, path: str) -> int:
        """How many changes contain this file."""
        return self._file_counts[path]

    def change_share(self, path: str) -> float:
        """The share of all changes that contain this file; 0 while there are too few."""
        return self._file_counts[path] / len(self._finished) if len(self._finished) >= MIN_HISTORY else 0.0

    def partner_share(self, file_index: FileIndex) -> float:
        """How often a test was changed with what it tests, in the latest changes; the middle if unknown."""
        changed_together = with_partners = 1.0
        for work in list(self._finished)[-MIN_HISTORY * 5 :]:
            files = frozenset(work.files)
            for path in work.files:
                if partners := file_index.partners(path):
                    with_partners += 1
                    changed_together += any(partner in files for partner in partners)
        return changed_together / (with_partners + 1)

    def rarity(self, word: str) -> float:
        """How much a word says, by how few texts contain it; 0 if all do (inverse document frequency)."""
        return math.log((len(self._finished) + 1) / (self._word_counts[word] + 1))

    def similar(self, words: frozenset[str], limit: int) -> list[tuple[float, FinishedWork]]:
        """The most similar changes, with the cosine (0…1) of their words, weighted by rarity.

        Of equally similar ones the later comes first.
        """
        weights = {word: self.rarity(word) ** 2 for word in words}
        query_norm = math.sqrt(sum(weights.values()))
        if not query_norm:
            return []
        matches = []
        for age, work in enumerate(reversed(self._finished)):
            common = sum(weights[word] for word in words & work.words)
            if common:
                work_norm = math.sqrt(sum(self.rarity(word) ** 2 for word in work.words))
                matches.append((common / (query_norm * work_norm), age, work))
        matches.sort(key=lambda entry: (-entry[0], entry[1]))
        return [(similarity, work) for similarity, _, work in matches[:limit]]

    def cochange_counts(self, path: str) -> Counter[str]:
        """For each other file, in how many changes it occurs together with this one."""
        counts: Counter[str] = Counter()
        for work in self._finished:
            if path in work.files:
                counts.update(work.files)
        counts.pop(path, None)
        return counts


def commit_text(message: str) -> str:
    """The words of a commit message: without trailers, and without GitHub's line about a merge.

    Below that line is the title of the pull request.
    """
    lines = [line for line in message.split("\n") if not _TRAILER.match(line)]
    first_line, body = lines[0] if lines else "", "\n".join(lines[1:]).strip()
    return body or first_line if _MERGE_LINE.match(first_line) else "\n".join(lines).strip()
