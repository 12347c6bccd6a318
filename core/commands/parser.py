"""Finds slash commands in a comment.

A command is a line of ordinary text that begins with `/word`. Text that is quoted, in code, or in a list, link or HTML
only mentions a command.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

from config.problems import nearest_word
from core.text_safety.markdown import command_lines
from core.text_safety.sanitize import BODY_LIMIT, clean, normalize_text, one_line

MAX_COMMANDS = 20  # per comment; the rest is ignored
MAX_ARGUMENT_LENGTH = 1_000  # characters
MAX_TEXT_LENGTH = 20_000  # characters of an argument that is the whole rest of the comment
# Commands, some with their first word, whose argument is the rest of the comment.
MULTILINE_COMMANDS = frozenset({"plan", "review approve", "review changes", "retro answer"})

# Punctuation after the word is ignored; a slash or a dot inside the word makes it a path.
_COMMAND_LINE = re.compile(r"/([A-Za-z][A-Za-z0-9_-]{0,31})[.,:;!?]{0,3}(?:\s+(.*))?", re.DOTALL)
_ROOT_DIRECTORIES = frozenset(re.findall(r"\w+", "bin boot dev etc home lib mnt opt proc root run srv sys tmp usr var"))


@dataclass(frozen=True, slots=True)
class ParsedCommand:
    """One command as it was written.

    `name` is in lower case without the slash, `argument` is the cleaned rest of the line, `line` counts from 1. `key`
    is the same for the same command in another version of the comment, and different for every command within one
    comment, repetitions included. `suggestion` is the known command nearest to an unknown word.
    """

    name: str
    argument: str
    line: int
    key: str
    is_known: bool = True
    suggestion: str | None = None


def parse_commands(body: str | None, known_names: Collection[str]) -> tuple[ParsedCommand, ...]:
    """The commands of a comment in order, including unknown ones; `known_names` are in lower case without slash.

    Text below one of the `MULTILINE_COMMANDS` that looks like a command is part of its argument.
    """
    commands: list[ParsedCommand] = []
    counts: Counter[tuple[str, str]] = Counter()
    text = normalize_text((body or "")[:BODY_LIMIT])
    for line in command_lines(text):
        match = _COMMAND_LINE.fullmatch(clean(line.text))
        if match is None:
            continue
        name = match[1].lower()
        if name not in known_names and name in _ROOT_DIRECTORIES:
            continue
        argument = one_line(match[2] or "", MAX_ARGUMENT_LENGTH)
        is_multiline = not {name, f"{name} {argument.partition(' ')[0].lower()}"}.isdisjoint(MULTILINE_COMMANDS)
        if is_multiline:
            following_lines = text.split("\n")[line.number :]
            argument = clean("\n".join([match[2] or "", *following_lines]), MAX_TEXT_LENGTH).strip()
        counts[name, argument] += 1
        command_hash = hashlib.sha256(f"{name} {argument}".encode()).hexdigest()[:16]
        commands.append(
            ParsedCommand(
                name=name,
                argument=argument,
                line=line.number,
                key=f"{command_hash}-{counts[name, argument]}",
                is_known=name in known_names,
                suggestion=None if name in known_names else nearest_word(name, known_names, cutoff=0.6),
            )
        )
        if is_multiline or len(commands) == MAX_COMMANDS:
            break
    return tuple(commands)


def new_commands(before: str | None, after: str | None, known_names: Collection[str]) -> tuple[ParsedCommand, ...]:
    """The commands of an edited comment that its earlier text did not have; an added repetition counts as new."""
    old_keys = {command.key for command in parse_commands(before, known_names)}
    return tuple(command for command in parse_commands(after, known_names) if command.key not in old_keys)
