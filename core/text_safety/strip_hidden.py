"""Keeps of a Markdown source only what a reader of the rendered page sees.

An instruction that only the machine can read is the classic way to steer an agent without the knowledge of those who
approved the text. So hidden text is removed, by the parser's own idea of code, text and HTML.
"""

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from markdown_it.common.html_re import HTML_TAG_RE
from markdown_it.token import Token

from core.text_safety.markdown import parse, tag_name

_VOID = frozenset(re.findall(r"\w+", "area base br col embed hr img input link meta source track wbr"))
_UNSEEN = frozenset(
    re.findall(r"\w+", "script style template noscript head title iframe object noembed noframes xmp datalist")
)
_HIDDEN = re.compile(r"""\shidden(?![\w-])|\saria-hidden\s*=\s*["']?true""", re.IGNORECASE)
# In two steps, because one pattern that looks for both would look through the rest of the tag from every `style=`.
_STYLE = re.compile(r"\sstyle\s*=", re.IGNORECASE)
_HIDING = re.compile(
    r"""[\s"';=](?:display\s*:\s*none|visibility\s*:\s*hidden|(?:font-size|opacity)\s*:\s*0(?![.\d]*[1-9])|"""
    r"""color\s*:\s*transparent)""",
    re.IGNORECASE,
)
_KEPT_ATTRIBUTE = re.compile(r"""\s(href|src)\s*=\s*("[^"]*"|'[^']*'|[^\s"'=<>`]+)""", re.IGNORECASE)


@dataclass(slots=True)
class _Piece:
    """A stretch of the source and the text that stays of it; a tag may begin or end an element."""

    source: str
    text: str
    opens: str = ""
    closes: str = ""
    hides: bool = False


_LEAVES = frozenset({"fence", "code_block", "html_block", "inline"})


def visible(text: str) -> str:
    """The source without what the rendered page does not show.

    Removed: comments, processing instructions, the content of `script`, `style` and the like, elements that
    are hidden by attribute or style (when they are closed; one that is never closed stays, as it does on
    GitHub), the attributes of every tag but `href` and `src`, link definitions that nothing refers to.
    Code is left as it is.
    """
    if "<" not in text and "]:" not in text:
        return text
    env: dict[str, Any] = {}
    tokens = parse(text, env)
    lines = text.split("\n")
    labels = {c.meta.get("label") for t in tokens for c in t.children or [] if c.type in {"link_open", "image"}}
    unused = [definition["map"] for label, definition in env.get("references", {}).items() if label not in labels]
    unused += [definition["map"] for definition in env.get("duplicate_refs", [])]
    gone = {number for begin, end in unused for number in range(begin, end)}
    blocks: dict[int, list[Token]] = defaultdict(list)
    for token in tokens:
        if token.map and token.type in _LEAVES:
            blocks[token.map[0]].append(token)

    segments: list[list[_Piece]] = []
    at = 0
    while at < len(lines):
        found = blocks.get(at)
        end = found[0].map[1] if found and found[0].map else at + 1
        while not found and end < len(lines) and end not in blocks and (end in gone) == (at in gone):
            end += 1
        raw = lines[at:end]
        source = "\n".join(raw)
        if not found:
            # Blank lines, rules, definitions, and what is nested so deeply that the parser did not read it,
            # which is taken for HTML, to be safe.
            segments.append([_Piece(source, "")] if at in gone else list(_html_pieces(source)))
        elif found[0].type in {"fence", "code_block"}:
            segments.append([_Piece(source, source)])
        else:
            segments.append(_block_pieces(found, raw))
        at = end
    _hide([piece for segment in segments for piece in segment])
    return _joined(segments)


def _joined(segments: Iterable[Iterable[_Piece]]) -> str:
    """Put the segments together; what was emptied leaves at most one blank line, so that no gaps remain."""
    out: list[str] = []
    emptied = False
    for segment in segments:
        text = "".join(piece.text for piece in segment)
        if text.strip():
            emptied = False
        else:
            emptied = emptied or any(piece.source.strip() for piece in segment)
            if emptied and out and not out[-1].strip():
                continue
        out.append(text)
    return "\n".join(out)


def _block_pieces(tokens: list[Token], raw: list[str]) -> list[_Piece]:
    """Pieces of a paragraph, heading, row or HTML block, with the quote and list marks of its lines kept."""
    content = tokens[0].content.rstrip("\n").split("\n")
    tags = [child.content for token in tokens for child in _flat(token) if child.type == "html_inline"]
    tags.reverse()
    prefixes = [line[: len(line) - len(own)] for line, own in zip(raw, content, strict=False) if line.endswith(own)]
    if len(tokens) > 1 or not len(prefixes) == len(raw) == len(content):
        if len(raw) > 1:  # a form that we do not know: no code is recognised in it, to be safe
            return list(_html_pieces("\n".join(raw)))
        # A heading with closing marks, or a row of a table: there, a code span never reaches across a cell,
        # and a bar inside a cell has a backslash that its content has lost.
        pieces = []
        for cell in re.split(r"(?<!\\)(\|)", raw[0]):
            inner = [_Piece(cell, cell)] if cell == "|" else list(_inline_pieces(cell.replace(r"\|", "|"), tags))
            for piece in inner:
                piece.text = piece.text if cell == "|" else piece.text.replace("|", r"\|")
            pieces += inner
        return pieces
    source = "\n".join(content)
    pieces = [_Piece(prefixes[0], prefixes[0])]
    number = 0
    for piece in _html_pieces(source) if tokens[0].type == "html_block" else _inline_pieces(source, tags):
        first, *more = piece.source.split("\n")
        if piece.text == piece.source:
            piece.text = "\n".join([first, *(prefixes[number + n] + line for n, line in enumerate(more, 1))])
        number += len(more)
        pieces.append(piece)
    return pieces


def _flat(token: Token) -> Iterator[Token]:
    for child in token.children or []:
        yield child
        yield from _flat(child)


_INLINE = re.compile(r"\\[!-/:-@\[-`{-~]|`+|<")


def _inline_pieces(source: str, tags: list[str]) -> Iterator[_Piece]:
    """Split inline content at the tags that the parser found (next one last), skipping escapes and code."""
    runs: dict[int, list[int]] = defaultdict(list)
    for run in re.finditer("`+", source):
        runs[len(run[0])].append(run.start())
    begin = at = 0
    while tags and (found := _INLINE.search(source, at)):
        at = found.end()
        if found[0][0] == "`":
            same = runs[len(found[0])]
            closing = bisect_right(same, found.start())
            if closing < len(same):
                at = same[closing] + len(found[0])
        elif found[0] == "<" and source.startswith(tags[-1], found.start()):
            yield _Piece(source[begin : found.start()], source[begin : found.start()])
            yield _tag_piece(tags[-1])
            begin = at = found.start() + len(tags.pop())
    yield _Piece(source[begin:], source[begin:])


_HTML = re.compile(
    rf"<!--(?:-?>|[\s\S]*?(?:-->|\Z))|<[!?][^>]*(?:>|\Z)|{HTML_TAG_RE.pattern}|</?[A-Za-z][^<>]*>?|[^<]+|<"
)


def _html_pieces(source: str) -> Iterator[_Piece]:
    """Split HTML as a browser would: a comment never closed reaches to the end, a broken tag is no text."""
    for found in _HTML.finditer(source):
        whole = found[0]
        yield _tag_piece(whole) if re.match(r"<[/!?A-Za-z]", whole) else _Piece(whole, whole)


def _tag_piece(tag: str) -> _Piece:
    written = tag_name(tag)
    name = written.lower()
    if not name:
        return _Piece(tag, "")
    if tag.startswith("</"):
        return _Piece(tag, f"</{written}>", closes=name)
    kept = "".join(f" {key.lower()}={value}" for key, value in _KEPT_ATTRIBUTE.findall(tag))
    hides = name in _UNSEEN or _is_hidden(tag)
    if name in _VOID:
        return _Piece(tag, "" if hides else f"<{written}{kept}>")
    return _Piece(tag, f"<{written}{kept}>", opens=name, hides=hides)


def _is_hidden(tag: str) -> bool:
    style = _STYLE.search(tag)
    return bool(_HIDDEN.search(tag) or (style and _HIDING.search(tag, style.end() - 1)))


def _hide(pieces: list[_Piece]) -> None:
    """Empty every piece of an element that is hidden and closed."""
    open_at: dict[str, list[int]] = defaultdict(list)
    spans: list[tuple[int, int]] = []
    for number, piece in enumerate(pieces):
        if piece.opens:
            open_at[piece.opens].append(number)
        elif piece.closes and open_at[piece.closes]:
            begin = open_at[piece.closes].pop()
            if pieces[begin].hides:
                spans.append((begin, number))
    done = 0
    for begin, end in sorted(spans):
        for piece in pieces[max(begin, done) : end + 1]:
            piece.text = ""
        done = max(done, end + 1)
