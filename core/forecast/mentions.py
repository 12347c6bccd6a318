"""Extracts files and code symbols from a text. The text comes from outside, so everything is bounded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from core.forecast.tokenize import MAX_TEXT_LENGTH

MAX_TOKENS = 4_000  # tokens of a text that are read
MAX_PATHS = 40  # taken from one text
MAX_SYMBOLS = 6  # each is searched in every file
MAX_PATH_LENGTH = 300  # characters

# Linear: one class, no nesting.
_TOKEN = re.compile(r"[^\s`'\"<>(){}\[\],;|]+")
_SPAN = re.compile(r"`([^`\n]{1,120})`")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LINE = re.compile(r":\d{1,7}(?:[-:]\d{1,7})?\Z")
_FILE = re.compile(r"[\w@+-][\w.@+-]*\.[A-Za-z][A-Za-z0-9]{0,7}\Z")
_SITE = re.compile(r"(?:[\w-]+\.)+(?:com|org|net|io|dev|edu|gov|co)\Z", re.IGNORECASE)
_DECLARATION_KEYWORDS = frozenset(
    ("class", "function", "method", "def", "func", "fn", "struct", "interface", "trait", "enum")
)
_STOP_NAMES = frozenset(
    ("and", "for", "that", "the", "this", "which", "with", "from", "not", "are", "was", "has", "can")
)


@dataclass(frozen=True, slots=True)
class References:
    """Paths as written, some of which may not exist; and code symbols. The first ones come first."""

    paths: tuple[str, ...] = ()
    symbols: tuple[str, ...] = ()


def find_references(text: str) -> References:
    """What the text names. Linear in the text's length, of which at most `MAX_TEXT_LENGTH` characters are read."""
    text = text[:MAX_TEXT_LENGTH]
    paths: dict[str, None] = {}
    for token in _tokens(text):
        if path := _parse_path(token):
            paths[path] = None
            if len(paths) == MAX_PATHS:
                break
    symbols: dict[str, None] = {}
    for symbol in _find_symbols(text):
        symbols[symbol] = None
        if len(symbols) == MAX_SYMBOLS:
            break
    return References(tuple(paths), tuple(symbols))


def _tokens(text: str) -> Iterator[str]:
    for count, match in enumerate(_TOKEN.finditer(text)):
        if count == MAX_TOKENS:
            return
        yield match[0]


def _parse_path(token: str) -> str:
    """The token as a path, if it can be one: with a folder, or with a file's suffix."""
    token = _LINE.sub("", token.strip("*_~").rstrip(".:!?*_~")).removeprefix("./")
    if not 3 <= len(token) <= MAX_PATH_LENGTH or "://" in token or token.startswith(("/", "~", "#", "@", "-", "=")):
        return ""
    if ".." in token.split("/") or ".git" in token.split("/") or "\\" in token or "=" in token or "*" in token:
        return ""
    file_name = token.rstrip("/").rpartition("/")[2]
    return token.rstrip("/") if "/" in token or (_FILE.match(file_name) and not _SITE.match(token)) else ""


def looks_like_file(path: str) -> bool:
    """Whether a path that does not exist looks like a new file: it ends like one."""
    return bool(_FILE.match(path.rpartition("/")[2])) and not _SITE.match(path)


def _find_symbols(text: str) -> Iterator[str]:
    spans = [(match.start(), match.end()) for match in _SPAN.finditer(text)]
    span_index, previous = 0, ""
    for count, match in enumerate(_NAME.finditer(text)):
        if count == MAX_TOKENS:
            return
        name, begin, end = match[0], match.start(), match.end()
        while span_index < len(spans) and spans[span_index][1] <= begin:
            span_index += 1
        is_quoted = span_index < len(spans) and spans[span_index][0] < begin
        following = text[end : end + 2]
        # Inside a path or an address it is no code symbol.
        is_path_part = text[max(0, begin - 1) : begin] in ("/", "-", "@", "#", "&") or following[:1] in ("/", "-", "@")
        is_path_part = is_path_part or (following[:1] == "." and following[1:2].isalnum() and not is_quoted)
        if not is_path_part and _is_symbol(name, following, previous, is_quoted=is_quoted):
            yield name
        previous = name.lower()


def _is_symbol(name: str, following: str, previous: str, *, is_quoted: bool) -> bool:
    if not 3 <= len(name.strip("_")) <= 60 or name.lower() in _STOP_NAMES:
        return False
    inner = name.strip("_")
    is_snake_case = "_" in inner
    is_camel_case = any(left.islower() and right.isupper() for left, right in pairwise(inner))
    return is_snake_case or is_camel_case or is_quoted or following == "()" or previous in _DECLARATION_KEYWORDS
