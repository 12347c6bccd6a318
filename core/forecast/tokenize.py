"""Splits texts and paths into normalized words for comparison, without stop words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

MAX_TEXT_LENGTH = 20_000  # characters that are read of a text
MAX_WORDS = 300  # different words that are kept of one text

_RUN = re.compile(r"[^\W_]+")
_CAMEL_CASE = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
# Words that occur in any text about software, whatever it is about.
_STOP_WORD_TEXT = (
    "about above add added adds after again all also and any are because been before being both but can cannot could "
    "did does done each else every file files first for from get gets goes had has have her here his how into its just "
    "last let lets like make makes many may more most must need needs never new not now off once one only other our "
    "out over own per say says see set should since some such than that the their them then there these they this "
    "those through too two under use used uses very was way well were what when where which while who whose why will "
    "with without would yet you your merge merged pull request branch main master commit change changes changed update "
    "updated"
)
_STOP_WORDS = frozenset(_STOP_WORD_TEXT.split())


def words_of(text: str) -> frozenset[str]:
    """The words of a text, each once; names in code are split into theirs (`compute_tax`, `computeTax`)."""
    words: set[str] = set()
    for word in _split(text[:MAX_TEXT_LENGTH]):
        words.add(word)
        if len(words) == MAX_WORDS:
            break
    return frozenset(words)


def _split(text: str) -> Iterator[str]:
    for run in _RUN.finditer(text):
        yield from _run_words(run[0]) if len(run[0]) <= 100 else ()


@lru_cache(maxsize=20_000)
def _run_words(run: str) -> tuple[str, ...]:
    """Cached, because the paths of a large repository consist of few words."""
    parts = [run] if run.islower() or run.isupper() else _CAMEL_CASE.split(run)
    return tuple(word for piece in parts if (word := normalize_word(piece)))


def normalize_word(text: str) -> str:
    """The normalized form of a word: lower case, without a plural ending; empty for a stop word."""
    word = text.lower()
    if not 3 <= len(word) <= 40 or word.isdigit() or word in _STOP_WORDS:
        return ""
    if word.endswith("ies") and len(word) > 4:
        return f"{word[:-3]}y"
    return word[:-1] if word.endswith("s") and not word.endswith("ss") and len(word) > 3 else word
