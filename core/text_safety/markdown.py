"""Parses Markdown into sections, list items, prose and command lines.

Everything uses the tokens of a CommonMark parser rather than patterns over the raw text, so that code, quotes and HTML
are recognised by the rules that GitHub applies. The parser's worst case was measured at about one second for 65,536
characters, the longest body that GitHub accepts.
"""

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.common.html_re import HTML_TAG_RE
from markdown_it.token import Token

# The labels of reference links are kept: a definition that no link uses is text that no reader sees.
PARSER = MarkdownIt("commonmark", {"store_labels": True}).enable(["table", "strikethrough"])

_CHECKBOX = re.compile(r"\[([ xX])\](?:[ \t]+(.*))?\Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ListItem:
    """One item of a list: `ticked` is None without a checkbox, `depth` is 0 in the outermost list."""

    text: str
    ticked: bool | None
    depth: int = 0


@dataclass(frozen=True, slots=True)
class Section:
    """A heading with the source below it up to the next heading; what stands before the first has level 0."""

    heading: str
    level: int
    source: str
    items: tuple[ListItem, ...] = ()


@dataclass(frozen=True, slots=True)
class SourceLine:
    """A line of the source with its number, counted from 1."""

    number: int
    text: str


def parse_tokens(text: str, env: dict[str, Any] | None = None) -> list[Token]:
    """The parser's tokens; `env` receives the link definitions."""
    # Comments and their kin, opened by the thousand and never closed, would each be looked for to the end of the text.
    if text.count("<!") + text.count("<?") > 1000:
        text = text.replace("<!", "< !").replace("<?", "< ?")
    return PARSER.parse(text, {} if env is None else env)


def _outside_quotes(tokens: Iterable[Token]) -> Iterator[Token]:
    quote_depth = 0
    for token in tokens:
        if token.type == "blockquote_open":
            quote_depth += 1
        elif token.type == "blockquote_close":
            quote_depth -= 1
        elif not quote_depth:
            yield token


@dataclass(frozen=True, slots=True)
class Heading:
    """A top-level heading: its text, its level, its first line and the line after it, both counted from 0."""

    text: str
    level: int
    begin: int
    end: int


def headings(text: str) -> tuple[Heading, ...]:
    """The top-level headings of a document, in order. A line ends with LF, with CR, or with both."""
    return _headings(parse_tokens(text))


def _headings(tokens: list[Token]) -> tuple[Heading, ...]:
    return tuple(
        Heading(" ".join(following.content.split()), int(token.tag[1:]), *token.map)
        for token, following in pairwise(tokens)
        if token.type == "heading_open" and token.level == 0 and token.map
    )


def sections(text: str) -> tuple[Section, ...]:
    """Split a document at its top-level headings; the first section is what stands before."""
    tokens = parse_tokens(text)
    lines = text.split("\n")
    all_headings = (Heading("", 0, 0, 0), *_headings(tokens))
    items: list[list[ListItem]] = [[] for _ in all_headings]
    starts = [head.begin for head in all_headings]
    for line, item in _list_items(tokens):
        items[bisect_right(starts, line) - 1].append(item)
    ends = [*starts[1:], len(lines)]
    return tuple(
        Section(head.text, head.level, "\n".join(lines[head.end : end]).strip("\n").rstrip(), tuple(section_items))
        for head, end, section_items in zip(all_headings, ends, items, strict=True)
    )


def _list_items(tokens: Iterable[Token]) -> Iterator[tuple[int, ListItem]]:
    depth = -1
    awaits_text = False  # inside an item whose own first line has not come yet
    for token in _outside_quotes(tokens):
        if token.type in {"bullet_list_open", "ordered_list_open"}:
            depth += 1
        elif token.type in {"bullet_list_close", "ordered_list_close"}:
            depth -= 1
        elif token.type in {"list_item_open", "list_item_close"}:
            awaits_text = token.type == "list_item_open"
        elif token.type == "inline" and awaits_text and token.map:
            awaits_text = False
            checkbox = _CHECKBOX.match(token.content)
            content = " ".join(((checkbox[2] or "") if checkbox else token.content).split())
            if content:
                yield token.map[0], ListItem(content, None if checkbox is None else checkbox[1] != " ", depth)


def prose(text: str) -> str:
    """The running text outside code, quotes, images and struck-out words, without markup.

    Paragraphs are separated by an empty line, the items of a list and the sentence that leads to it by a line
    end. A backtick stands where code was, so that the words on both sides of it are not read as neighbours.
    """
    parts: list[str] = []
    list_depth = 0
    for token in _outside_quotes(parse_tokens(text)):
        if token.type in {"bullet_list_open", "ordered_list_open"}:
            list_depth += 1
        elif token.type in {"bullet_list_close", "ordered_list_close"}:
            list_depth -= 1
        elif token.type in {"inline", "html_block"}:
            block = re.sub(r"<[^<>]*>", "", token.content) if token.type == "html_block" else _inline_prose(token)
            if block.strip():
                parts += ["\n" if list_depth else "\n\n", block.strip()]
        elif token.type in {"fence", "code_block"}:
            parts += ["\n\n`"]
    return "".join(parts).strip()


def _inline_prose(token: Token) -> str:
    parts: list[str] = []
    strike_depth = 0
    for child in token.children or []:
        if child.type in {"s_open", "s_close"}:
            strike_depth += child.nesting
            parts.append("`")
        elif strike_depth or child.type in {"code_inline", "image"}:
            parts.append("`")
        elif child.type in {"softbreak", "hardbreak"}:
            parts.append("\n")
        elif child.type == "text":
            parts.append(child.content)
    return "".join(parts)


# Elements in which a paragraph is inside HTML although Markdown starts again after an empty line.
_CONTAINERS = frozenset(
    re.findall(
        r"\w+",
        "article aside blockquote center details div dl fieldset figure footer form header main nav ol pre "
        "section table template td ul",
    )
)
_LINE_MARK = "\ue000"  # private use: carries a line's number through the inline parser, which takes it for a letter
_COMMAND_START = re.compile(r"[ \t]*/[A-Za-z]")


def command_lines(text: str) -> tuple[SourceLine, ...]:
    """Lines of top-level paragraphs that begin with `/` and a letter.

    Nothing inside quotes, code, HTML, links, lists, headings, tables or emphasis counts.
    """
    text = text.replace(_LINE_MARK, "")
    lines = text.split("\n")
    tokens = parse_tokens(text)
    commands: list[SourceLine] = []
    open_tags: dict[str, int] = defaultdict(int)
    for index, token in enumerate(tokens):
        if token.type == "html_block":
            for tag in HTML_TAG_RE.finditer(token.content):
                if (name := tag_name(tag[0]).lower()) in _CONTAINERS:
                    open_tags[name] = max(0, open_tags[name] + (-1 if tag[0].startswith("</") else 1))
        elif token.type == "inline" and token.level == 1 and token.map and tokens[index - 1].type == "paragraph_open":
            content = token.content.split("\n")
            if any(open_tags.values()) or not any(_COMMAND_START.match(line) for line in content):
                continue
            # A line may lie inside a code span, a tag or a link that began above it. Only the inline parser
            # knows, so each candidate carries its number through it and is looked for among the plain text.
            marked = (
                f"{_LINE_MARK}{offset}{_LINE_MARK}{line.lstrip()}" if _COMMAND_START.match(line) else line
                for offset, line in enumerate(content)
            )
            for child in PARSER.parseInline("\n".join(marked))[0].children or []:
                if child.type == "text" and child.level == 0 and child.content.startswith(_LINE_MARK):
                    line_index = token.map[0] + int(child.content.split(_LINE_MARK)[1])
                    commands.append(SourceLine(line_index + 1, lines[line_index].strip()))
    return tuple(commands)


def tag_name(tag: str) -> str:
    """The name of an HTML tag as it is written, or nothing for a comment or declaration."""
    match = re.match(r"</?([A-Za-z][A-Za-z0-9-]*)", tag)
    return match[1] if match else ""
