"""Extracts files and code symbols from a text. The text comes from outside, so everything is bounded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from core.forecast.tokenize import MAX_TEXT

MAX_TOKENS = 4_000  # tokens of a text that are read
MAX_PATHS = 40  # taken from one text
MAX_SYMBOLS = 6  # each is searched in every file
MAX_PATH = 300  # characters

# Linear: one class, no nesting.
_PIECES = re.compile(r"[^\s`'\"<>(){}\[\],;|]+")
_SPAN = re.compile(r"`([^`\n]{1,120})`")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LINE = re.compile(r":\d{1,7}(?:[-:]\d{1,7})?\Z")
_FILE = re.compile(r"[\w@+-][\w.@+-]*\.[A-Za-z][A-Za-z0-9]{0,7}\Z")
_SITE = re.compile(r"(?:[\w-]+\.)+(?:com|org|net|io|dev|edu|gov|co)\Z", re.IGNORECASE)
_BEFORE = frozenset(("class", "function", "method", "def", "func", "fn", "struct", "interface", "trait", "enum"))
_NO_NAMES = frozenset(("and", "for", "that", "the", "this", "which", "with", "from", "not", "are", "was", "has", "can"))


@dataclass(frozen=True, slots=True)
class References:
    """Paths as written, some of which may not exist; and code symbols. The first ones come first."""

    paths: tuple[str, ...] = ()
    symbols: tuple[str, ...] = ()


def mentions(text: str) -> References:
    """What the text names. Linear in the text's length, of which at most `MAX_TEXT` is read."""
    text = text[:MAX_TEXT]
    paths: dict[str, None] = {}
    for piece in _pieces(text):
        if path := _path(piece):
            paths[path] = None
            if len(paths) == MAX_PATHS:
                break
    symbols: dict[str, None] = {}
    for symbol in _symbols(text):
        symbols[symbol] = None
        if len(symbols) == MAX_SYMBOLS:
            break
    return References(tuple(paths), tuple(symbols))


def _pieces(text: str) -> Iterator[str]:
    for count, piece in enumerate(_PIECES.finditer(text)):
        if count == MAX_TOKENS:
            return
        yield piece[0]


def _path(piece: str) -> str:
    """The token as a path, if it can be one: with a folder, or with a file's suffix."""
    piece = _LINE.sub("", piece.strip("*_~").rstrip(".:!?*_~")).removeprefix("./")
    if not 3 <= len(piece) <= MAX_PATH or "://" in piece or piece.startswith(("/", "~", "#", "@", "-", "=")):
        return ""
    if ".." in piece.split("/") or ".git" in piece.split("/") or "\\" in piece or "=" in piece or "*" in piece:
        return ""
    last = piece.rstrip("/").rpartition("/")[2]
    return piece.rstrip("/") if "/" in piece or (_FILE.match(last) and not _SITE.match(piece)) else ""


def names_a_file(path: str) -> bool:
    """Whether a path that does not exist looks like a new file: it ends like one."""
    return bool(_FILE.match(path.rpartition("/")[2])) and not _SITE.match(path)


def _symbols(text: str) -> Iterator[str]:
    spans = [(found.start(), found.end()) for found in _SPAN.finditer(text)]
    at, before = 0, ""
    for count, found in enumerate(_NAME.finditer(text)):
        if count == MAX_TOKENS:
            return
        name, begin, end = found[0], found.start(), found.end()
        while at < len(spans) and spans[at][1] <= begin:
            at += 1
        quoted = at < len(spans) and spans[at][0] < begin
        after = text[end : end + 2]
        # Inside a path or an address it is no code symbol.
        part = text[max(0, begin - 1) : begin] in ("/", "-", "@", "#", "&") or after[:1] in ("/", "-", "@")
        part = part or (after[:1] == "." and after[1:2].isalnum() and not quoted)
        if not part and _is_symbol(name, after, before, quoted=quoted):
            yield name
        before = name.lower()


def _is_symbol(name: str, after: str, before: str, *, quoted: bool) -> bool:
    if not 3 <= len(name.strip("_")) <= 60 or name.lower() in _NO_NAMES:
        return False
    inner = name.strip("_")
    snake = "_" in inner
    hump = any(a.islower() and b.isupper() for a, b in pairwise(inner))
    return snake or hump or quoted or after == "()" or before in _BEFORE
