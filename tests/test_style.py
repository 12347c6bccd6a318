"""Checks the prose of docs, docstrings, comments and text templates for banned words."""

import ast
import io
import re
import subprocess
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Each with the word or phrase to use instead.
BANNED_WORDS = {
    "anew": "again",
    "whoever": "the user, the agent, the maintainer",
    "mend": "fix",
    "mended": "fixed",
    "mends": "fixes",
    "heard of": "received, reported",
    "nobody": "no one, no agent, no user",
    "somebody": "a user, an agent",
}
BANNED = re.compile(rf"\b({'|'.join(BANNED_WORDS)})\b", re.IGNORECASE)

# Paths, or `path: line`, each with its reason.
EXCEPTIONS = {
    "tests/data/": "input of tests: what people and agents write, and how texts render it",
    "bot/demo/shop/": "the repository of the demo's agents, as its own team writes it",
    "CONTRIBUTING.md: 3. Use plain words": "lists the banned words",
    "docs/configuration.md: | `ALERT_EMAIL_TO`": "the default is a string of the settings",
}


def test_prose_has_no_banned_words() -> None:
    breaches = []
    for path in _tracked_files():
        for number, line in _prose(path):
            for match in BANNED.finditer(line):
                word = match[0].lower()
                if not _is_exception(path, line):
                    breaches.append(f"{path}:{number}: {word} (use: {BANNED_WORDS[word]})")
    assert not breaches, "\n".join(breaches)


def test_every_exception_is_needed() -> None:
    unused = dict(EXCEPTIONS)
    for path in _tracked_files():
        for _, line in _prose(path):
            if BANNED.search(line):
                unused = {key: reason for key, reason in unused.items() if not _matches(key, path, line)}
    assert not unused


def _tracked_files() -> Iterator[str]:
    listing = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    for path in listing.stdout.splitlines():
        if (ROOT / path).is_file():
            yield path


def _is_exception(path: str, line: str) -> bool:
    return any(_matches(key, path, line) for key in EXCEPTIONS)


def _matches(key: str, path: str, line: str) -> bool:
    prefix, _, start = key.partition(": ")
    return path.startswith(prefix) and line.lstrip().startswith(start)


def _prose(path: str) -> Iterator[tuple[int, str]]:
    """The numbered lines of a file that are prose; none for a file without prose."""
    suffix = Path(path).suffix
    if suffix not in (".md", ".j2", ".py", ".yml", ".yaml", ".toml"):
        return
    text = (ROOT / path).read_text(encoding="utf-8")
    if suffix == ".py":
        yield from _python_prose(text)
    elif suffix == ".md":
        yield from enumerate(text.splitlines(), 1)
    elif suffix == ".j2":
        without_code = re.sub(r"\{\{.*?\}\}|\{%.*?%\}", lambda match: re.sub(r"[^\n]", " ", match[0]), text, flags=re.S)
        yield from enumerate(without_code.splitlines(), 1)
    else:
        for number, line in enumerate(text.splitlines(), 1):
            if "#" in line:
                yield number, line.partition("#")[2]


def _python_prose(text: str) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Expr(value=ast.Constant(value=str(docstring), lineno=first)):
                yield from enumerate(docstring.splitlines(), first)
