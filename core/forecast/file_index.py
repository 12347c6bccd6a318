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

MAX_MEANT = 5  # files of the same name: with more, a bare name says nothing
MAX_AREA = 200  # files of an area: with more, none is likely enough to matter
SMALL = 200  # files: in a smaller repository a word of one name counts as in one of this size
MAX_TRIED = 100_000  # files that one pattern is matched against

_TEST = re.compile(r"\A[Tt]ests?_|[._-](?:tests?|spec)\Z|(?<=[a-z0-9])(?:Tests?|Spec)\Z")
_WILD = re.compile(r"[*?\[]")


class FileIndex:
    """The paths of one commit. Derived data is computed when first needed, and cached."""

    def __init__(self, paths: Iterable[str]) -> None:
        """`paths` are relative to the top of the repository, with `/`."""
        self.paths: Sequence[str] = sorted(set(paths))
        self._there = frozenset(self.paths)

    def __contains__(self, path: object) -> bool:
        return path in self._there

    def __len__(self) -> int:
        return len(self.paths)

    @cached_property
    def _by_name(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for path in self.paths:
            found.setdefault(path.rpartition("/")[2].lower(), []).append(path)
        return found

    @cached_property
    def by_word(self) -> dict[str, list[str]]:
        """For each word, the files that have it in their own name, without the suffix. Tests are found by what they
        test.
        """
        found: dict[str, list[str]] = {}
        for path in self.paths:
            if not is_test(path):
                for word in words_of(_stem(path)):
                    found.setdefault(word, []).append(path)
        return found

    @cached_property
    def _with_word(self) -> Counter[str]:
        found: Counter[str] = Counter({word: len(paths) for word, paths in self.by_word.items()})
        for folder, count in Counter(path.rpartition("/")[0] for path in self.paths).items():
            for word in words_of(folder):
                found[word] += count
        return found

    def rarity(self, word: str) -> float:
        """How much a word says about which file is meant, by how few paths contain it."""
        return math.log((max(len(self.paths), SMALL) + 1) / (self._with_word[word] + 1))

    @cached_property
    def _by_thing(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for path in self.paths:
            found.setdefault(_thing(path), []).append(path)
        return found

    def partners(self, path: str) -> tuple[str, ...]:
        """The tests of a file, or what a test tests, by name; of many, those in similar folders."""
        others = [one for one in self._by_thing.get(_thing(path), ()) if is_test(one) is not is_test(path)]
        if len(others) <= 1:
            return tuple(others)
        folders = words_of(path.rpartition("/")[0])
        alike = {one: len(folders & words_of(one.rpartition("/")[0])) for one in others}
        most = max(alike.values())
        best = tuple(one for one in others if alike[one] == most)
        return best if len(best) <= 2 else ()

    @cached_property
    def _by_stem(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for path in self.paths:
            found.setdefault(_stem(path).lower(), []).append(path)
        return found

    def meant(self, name: str) -> tuple[str, ...]:
        """The files meant by a path, its end, a bare name or a dotted name (`shop.tax`); () if there are none or too
        many.
        """
        if name in self._there:
            return (name,)
        last = name.rpartition("/")[2].lower()
        found = [path for path in self._by_name.get(last, ()) if _ends(path, name)]
        if not found and "/" not in name:
            dotted = name.replace(".", "/")
            stem = dotted.rpartition("/")[2].lower()
            found = [path for path in self._by_stem.get(stem, ()) if _ends(path.rpartition(".")[0], dotted)]
        return tuple(found) if len(found) <= MAX_MEANT else ()

    def area(self, pattern: str) -> tuple[str, ...]:
        """The files below a folder, or matching a pattern (`shop/**`, `*.sql`); () if there are none or too many."""
        pattern = pattern.strip("/")
        wild = _WILD.search(pattern)
        if wild is None:
            return self._below(f"{pattern}/")
        fits = re.compile(fnmatch.translate(re.sub(r"\*{2,}/?", "*", pattern))).match
        begin = pattern[: wild.start()]
        bare = "/" not in pattern  # `*.sql` means the name, wherever the file is
        ahead = islice(self.paths, bisect_left(self.paths, begin), None) if begin and not bare else iter(self.paths)
        found: list[str] = []
        for path in islice(ahead, MAX_TRIED):
            if begin and not bare and not path.startswith(begin):
                break
            if fits(path.rpartition("/")[2] if bare else path):
                found.append(path)
                if len(found) > MAX_AREA:
                    return ()
        return tuple(found)

    def _below(self, folder: str) -> tuple[str, ...]:
        begin = bisect_left(self.paths, folder)
        found = []
        for path in islice(self.paths, begin, begin + MAX_AREA + 1):
            if not path.startswith(folder):
                break
            found.append(path)
        return tuple(found) if len(found) <= MAX_AREA else ()


def is_test(path: str) -> bool:
    """Whether a file is a test, by its name: `test_cart.py`, `cart_test.go`, `cart.spec.ts`, `CartTest.java`."""
    return bool(_TEST.search(_stem(path)))


def _thing(path: str) -> str:
    return _TEST.sub("", _stem(path)).lower()


def _ends(path: str, end: str) -> bool:
    return f"/{path}".lower().endswith(f"/{end}".lower())


def _stem(path: str) -> str:
    name = path.rpartition("/")[2]
    return name.rpartition(".")[0] or name
