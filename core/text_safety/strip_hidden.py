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

from core.text_safety.markdown import parse_tokens, tag_name

_VOID_ELEMENTS = frozenset(re.findall(r"\w+", "area base br col embed hr img input link meta source track wbr"))
_INVISIBLE_ELEMENTS = frozenset(
    re.findall(r"\w+", "script style template noscript head title iframe object noembed noframes xmp datalist")
)
_HIDDEN_ATTRIBUTE = re.compile(r"""\shidden(?![\w-])|\saria-hidden\s*=\s*["']?true""", re.IGNORECASE)
# In two steps, because one pattern that looks for both would look through the rest of the tag from every `style=`.
_STYLE_ATTRIBUTE = re.compile(r"\sstyle\s*=", re.IGNORECASE)
_HIDING_STYLE = re.compile(
    r"""[\s"';=](?:display\s*:\s*none|visibility\s*:\s*hidden|(?:font-size|opacity)\s*:\s*0(?![.\d]*[1-9])|"""
    r"""color\s*:\s*transparent)""",
    re.IGNORECASE,
)
_ALLOWED_ATTRIBUTE = re.compile(r"""\s(href|src)\s*=\s*("[^"]*"|'[^']*'|[^\s"'=<>`]+)""", re.IGNORECASE)


@dataclass(slots=True)
class _Piece:
    """A stretch of the source and the text that stays of it; a tag may begin or end an element."""

    source: str
    text: str
    opens: str = ""
    closes: str = ""
    hides: bool = False


_LEAF_TOKENS = frozenset({"fence", "code_block", "html_block", "inline"})


def strip_hidden(text: str) -> str:
    """The source without what the rendered page does not show.

    Removed: comments, processing instructions, the content of `script`, `style` and the like, elements that
    are hidden by attribute or style (when they are closed; one that is never closed stays, as it does on
    GitHub), the attributes of every tag but `href` and `src`, link definitions that nothing refers to.
    Code is left as it is.
    """
    if "<" not in text and "]:" not in text:
        return text
    env: dict[str, Any] = {}
    tokens = parse_tokens(text, env)
    lines = text.split("\n")
    labels = {
        child.meta.get("label") for t in tokens for child in t.children or [] if child.type in {"link_open", "image"}
    }
    unused = [definition["map"] for label, definition in env.get("references", {}).items() if label not in labels]
    unused += [definition["map"] for definition in env.get("duplicate_refs", [])]
    unused_lines = {number for begin, end in unused for number in range(begin, end)}
    blocks: dict[int, list[Token]] = defaultdict(list)
    for token in tokens:
        if token.map and token.type in _LEAF_TOKENS:
            blocks[token.map[0]].append(token)

    segments: list[list[_Piece]] = []
    line_index = 0
    while line_index < len(lines):
        leaf_tokens = blocks.get(line_index)
        end = leaf_tokens[0].map[1] if leaf_tokens and leaf_tokens[0].map else line_index + 1
        while (
            not leaf_tokens
            and end < len(lines)
            and end not in blocks
            and (end in unused_lines) == (line_index in unused_lines)
        ):
            end += 1
        raw = lines[line_index:end]
        source = "\n".join(raw)
        if not leaf_tokens:
            # Blank lines, rules, definitions, and what is nested so deeply that the parser did not read it,
            # which is taken for HTML, to be safe.
            segments.append([_Piece(source, "")] if line_index in unused_lines else list(_split_html(source)))
        elif leaf_tokens[0].type in {"fence", "code_block"}:
            segments.append([_Piece(source, source)])
        else:
            segments.append(_split_block(leaf_tokens, raw))
        line_index = end
    _empty_hidden([piece for segment in segments for piece in segment])
    return _join_segments(segments)


def _join_segments(segments: Iterable[Iterable[_Piece]]) -> str:
    """Put the segments together; what was emptied leaves at most one blank line, so that no gaps remain."""
    texts: list[str] = []
    is_emptied = False
    for segment in segments:
        text = "".join(piece.text for piece in segment)
        if text.strip():
            is_emptied = False
        else:
            is_emptied = is_emptied or any(piece.source.strip() for piece in segment)
            if is_emptied and texts and not texts[-1].strip():
                continue
        texts.append(text)
    return "\n".join(texts)


def _split_block(tokens: list[Token], raw: list[str]) -> list[_Piece]:
    """Pieces of a paragraph, heading, row or HTML block, with the quote and list marks of its lines kept."""
    content = tokens[0].content.rstrip("\n").split("\n")
    tags = [child.content for token in tokens for child in _walk_children(token) if child.type == "html_inline"]
    tags.reverse()
    prefixes = [
        line[: len(line) - len(content_line)]
        for line, content_line in zip(raw, content, strict=False)
        if line.endswith(content_line)
    ]
    if len(tokens) > 1 or not len(prefixes) == len(raw) == len(content):
        if len(raw) > 1:  # a form that we do not know: no code is recognised in it, to be safe
            return list(_split_html("\n".join(raw)))
        # A heading with closing marks, or a row of a table: there, a code span never reaches across a cell,
        # and a bar inside a cell has a backslash that its content has lost.
        pieces = []
        for cell in re.split(r"(?<!\\)(\|)", raw[0]):
            inner = [_Piece(cell, cell)] if cell == "|" else list(_split_inline(cell.replace(r"\|", "|"), tags))
            for piece in inner:
                piece.text = piece.text if cell == "|" else piece.text.replace("|", r"\|")
            pieces += inner
        return pieces
    source = "\n".join(content)
    pieces = [_Piece(prefixes[0], prefixes[0])]
    line_offset = 0
    for piece in _split_html(source) if tokens[0].type == "html_block" else _split_inline(source, tags):
        first_line, *other_lines = piece.source.split("\n")
        if piece.text == piece.source:
            piece.text = "\n".join(
                [first_line, *(prefixes[line_offset + n] + line for n, line in enumerate(other_lines, 1))]
            )
        line_offset += len(other_lines)
        pieces.append(piece)
    return pieces


def _walk_children(token: Token) -> Iterator[Token]:
    for child in token.children or []:
        yield child
        yield from _walk_children(child)


_INLINE = re.compile(r"\\[!-/:-@\[-`{-~]|`+|<")


def _split_inline(source: str, tags: list[str]) -> Iterator[_Piece]:
    """Split inline content at the tags that the parser found (next one last), skipping escapes and code."""
    runs: dict[int, list[int]] = defaultdict(list)
    for run in re.finditer("`+", source):
        runs[len(run[0])].append(run.start())
    begin = position = 0
    while tags and (match := _INLINE.search(source, position)):
        position = match.end()
        if match[0][0] == "`":
            same_length = runs[len(match[0])]
            closing = bisect_right(same_length, match.start())
            if closing < len(same_length):
                position = same_length[closing] + len(match[0])
        elif match[0] == "<" and source.startswith(tags[-1], match.start()):
            yield _Piece(source[begin : match.start()], source[begin : match.start()])
            yield _tag_piece(tags[-1])
            begin = position = match.start() + len(tags.pop())
    yield _Piece(source[begin:], source[begin:])


_HTML = re.compile(
    rf"<!--(?:-?>|[\s\S]*?(?:-->|\Z))|<[!?][^>]*(?:>|\Z)|{HTML_TAG_RE.pattern}|</?[A-Za-z][^<>]*>?|[^<]+|<"
)


def _split_html(source: str) -> Iterator[_Piece]:
    """Split HTML as a browser would: a comment never closed reaches to the end, a broken tag is no text."""
    for match in _HTML.finditer(source):
        text = match[0]
        yield _tag_piece(text) if re.match(r"<[/!?A-Za-z]", text) else _Piece(text, text)


def _tag_piece(tag: str) -> _Piece:
    original_name = tag_name(tag)
    name = original_name.lower()
    if not name:
        return _Piece(tag, "")
    if tag.startswith("</"):
        return _Piece(tag, f"</{original_name}>", closes=name)
    attributes = "".join(f" {key.lower()}={value}" for key, value in _ALLOWED_ATTRIBUTE.findall(tag))
    hides = name in _INVISIBLE_ELEMENTS or _is_hidden(tag)
    if name in _VOID_ELEMENTS:
        return _Piece(tag, "" if hides else f"<{original_name}{attributes}>")
    return _Piece(tag, f"<{original_name}{attributes}>", opens=name, hides=hides)


def _is_hidden(tag: str) -> bool:
    style = _STYLE_ATTRIBUTE.search(tag)
    return bool(_HIDDEN_ATTRIBUTE.search(tag) or (style and _HIDING_STYLE.search(tag, style.end() - 1)))


def _empty_hidden(pieces: list[_Piece]) -> None:
    """Empty every piece of an element that is hidden and closed."""
    open_at: dict[str, list[int]] = defaultdict(list)
    spans: list[tuple[int, int]] = []
    for index, piece in enumerate(pieces):
        if piece.opens:
            open_at[piece.opens].append(index)
        elif piece.closes and open_at[piece.closes]:
            begin = open_at[piece.closes].pop()
            if pieces[begin].hides:
                spans.append((begin, index))
    hidden_until = 0
    for begin, end in sorted(spans):
        for piece in pieces[max(begin, hidden_until) : end + 1]:
            piece.text = ""
        hidden_until = max(hidden_until, end + 1)
