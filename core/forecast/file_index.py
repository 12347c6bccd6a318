"""Indexes the files of a repository and finds those that a text means."""

from __future__ import annotations

import fnmatch
import math
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import islice

from core.forecast.tokenize import words_of

MAX_MATCHES = 5  # files of the same name: with more, a bare name says nothing
MAX_AREA_FILES = 200  # files of an area: with more, none is likely enough to matter
MIN_REPOSITORY_SIZE = 200  # files: in a smaller repository a word of one name counts as in one of this size
MAX_PATTERN_FILES = 100_000  # files that one pattern is matched against

_TEST = re.compile(r"\A[Tt]ests?_|[._-](?:tests?|spec)\Z|(?<=[a-z0-9])(?:Tests?|Spec)\Z")
_WILDCARD = re.compile(r"[*?\[]")


class FileIndex:
    """The paths of one commit. Derived data is computed when first needed, and cached."""

    def __init__(self, paths: Iterable[str]) -> None:
        """`paths` are relative to the top of the repository, with `/`."""
        self.paths: Sequence[str] = sorted(set(paths))
        self._path_set = frozenset(self.paths)

    def __contains__(self, path: object) -> bool:
        return path in self._path_set

    def __len__(self) -> int:
        return len(self.paths)

    @cached_property
    def _by_name(self) -> dict[str, list[str]]:
        paths_by_name: dict[str, list[str]] = {}
        for path in self.paths:
            paths_by_name.setdefault(path.rpartition("/")[2].lower(), []).append(path)
        return paths_by_name

    @cached_property
    def by_word(self) -> dict[str, list[str]]:
        """For each word, the files that have it in their own name, without the suffix. Tests are found by what they
        test.
        """
        paths_by_word: dict[str, list[str]] = {}
        for path in self.paths:
            if not is_test(path):
                for word in words_of(_stem(path)):
                    paths_by_word.setdefault(word, []).append(path)
        return paths_by_word

    @cached_property
    def _word_counts(self) -> Counter[str]:
        counts: Counter[str] = Counter({word: len(paths) for word, paths in self.by_word.items()})
        for directory, count in Counter(path.rpartition("/")[0] for path in self.paths).items():
            for word in words_of(directory):
                counts[word] += count
        return counts

    def rarity(self, word: str) -> float:
        """How much a word says about which file is meant, by how few paths contain it."""
        return math.log((max(len(self.paths), MIN_REPOSITORY_SIZE) + 1) / (self._word_counts[word] + 1))

    @cached_property
    def _by_subject(self) -> dict[str, list[str]]:
        paths_by_subject: dict[str, list[str]] = {}
        for path in self.paths:
            paths_by_subject.setdefault(_test_subject(path), []).append(path)
        return paths_by_subject

    def partners(self, path: str) -> tuple[str, ...]:
        """The tests of a file, or what a test tests, by name; of many, those in similar folders."""
        others = [
            candidate
            for candidate in self._by_subject.get(_test_subject(path), ())
            if is_test(candidate) is not is_test(path)
        ]
        if len(others) <= 1:
            return tuple(others)
        directory_words = words_of(path.rpartition("/")[0])
        shared_words = {
            candidate: len(directory_words & words_of(candidate.rpartition("/")[0])) for candidate in others
        }
        max_shared = max(shared_words.values())
        best = tuple(candidate for candidate in others if shared_words[candidate] == max_shared)
        return best if len(best) <= 2 else ()

    @cached_property
    def _by_stem(self) -> dict[str, list[str]]:
        paths_by_stem: dict[str, list[str]] = {}
        for path in self.paths:
            paths_by_stem.setdefault(_stem(path).lower(), []).append(path)
        return paths_by_stem

    def find_files(self, name: str) -> tuple[str, ...]:
        """The files meant by a path, its end, a bare name or a dotted name (`shop.tax`); () if there are none or too
        many.
        """
        if name in self._path_set:
            return (name,)
        file_name = name.rpartition("/")[2].lower()
        matches = [path for path in self._by_name.get(file_name, ()) if _ends_with_path(path, name)]
        if not matches and "/" not in name:
            dotted = name.replace(".", "/")
            stem = dotted.rpartition("/")[2].lower()
            matches = [path for path in self._by_stem.get(stem, ()) if _ends_with_path(path.rpartition(".")[0], dotted)]
        return tuple(matches) if len(matches) <= MAX_MATCHES else ()

    def match_area(self, pattern: str) -> tuple[str, ...]:
        """The files below a folder, or matching a pattern (`shop/**`, `*.sql`); () if there are none or too many."""
        pattern = pattern.strip("/")
        wildcard = _WILDCARD.search(pattern)
        if wildcard is None:
            return self._files_under(f"{pattern}/")
        matches = re.compile(fnmatch.translate(re.sub(r"\*{2,}/?", "*", pattern))).match
        prefix = pattern[: wildcard.start()]
        is_name_only = "/" not in pattern  # `*.sql` means the name, wherever the file is
        candidates = (
            islice(self.paths, bisect_left(self.paths, prefix), None)
            if prefix and not is_name_only
            else iter(self.paths)
        )
        paths: list[str] = []
        for path in islice(candidates, MAX_PATTERN_FILES):
            if prefix and not is_name_only and not path.startswith(prefix):
                break
            if matches(path.rpartition("/")[2] if is_name_only else path):
                paths.append(path)
                if len(paths) > MAX_AREA_FILES:
                    return ()
        return tuple(paths)

    def _files_under(self, directory: str) -> tuple[str, ...]:
        start = bisect_left(self.paths, directory)
        paths = []
        for path in islice(self.paths, start, start + MAX_AREA_FILES + 1):
            if not path.startswith(directory):
                break
            paths.append(path)
        return tuple(paths) if len(paths) <= MAX_AREA_FILES else ()


def is_test(path: str) -> bool:
    """Whether a file is a test, by its name: `test_cart.py`, `cart_test.go`, `cart.spec.ts`, `CartTest.java`."""
    return bool(_TEST.search(_stem(path)))


def _test_subject(path: str) -> str:
    return _TEST.sub("", _stem(path)).lower()


def _ends_with_path(path: str, suffix: str) -> bool:
    return f"/{path}".lower().endswith(f"/{suffix}".lower())


def _stem(path: str) -> str:
    name = path.rpartition("/")[2]
    return name.rpartition(".")[0] or name
