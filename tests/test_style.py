"""Checks docs, code and text templates for banned words."""

import re
import subprocess
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
    "core/intake/classifier_keywords.py": "words that people write in issues",
    "tests/test_style.py": "lists the banned words",
}


def test_no_text_has_banned_words() -> None:
    breaches = []
    for path in _tracked_files():
        for number, line in _lines(path):
            for match in BANNED.finditer(line):
                word = match[0].lower()
                if not _is_exception(path, line):
                    breaches.append(f"{path}:{number}: {word} (use: {BANNED_WORDS[word]})")
    assert not breaches, "\n".join(breaches)


def test_every_exception_is_needed() -> None:
    unused = dict(EXCEPTIONS)
    for path in _tracked_files():
        for _, line in _lines(path):
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


def _lines(path: str) -> Iterator[tuple[int, str]]:
    """The numbered lines of a file with text that people read; none for other files."""
    if Path(path).suffix in (".md", ".j2", ".py", ".yml", ".yaml", ".toml"):
        yield from enumerate((ROOT / path).read_text(encoding="utf-8").splitlines(), 1)
