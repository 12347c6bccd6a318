"""Finds issue references, closing keywords and task branches."""

import re

from core.text_safety.markdown import prose
from core.text_safety.sanitize import clean

# `#12`, `GH-12`, `owner/repo#12` or the address of an issue or pull request. Every part is bounded as GitHub
# bounds it, so that no text makes the search slow.
REFERENCE = re.compile(
    r"(?P<server>https?://[\w.:-]{1,253})/(?P<site>[\w.-]{1,39}/[\w.-]{1,100})/(?:issues|pull)/"
    r"(?P<path>[1-9][0-9]{0,8})(?!\w)"
    r"|(?<![\w./&-])(?P<repository>[\w.-]{1,39}/[\w.-]{1,100})?(?:#|GH-)(?P<number>[1-9][0-9]{0,8})(?!\w)",
    re.IGNORECASE | re.ASCII,
)
_KEYWORD = re.compile(
    r"(?<![\w-])(?:close[sd]?|fix(?:e[sd])?|resolve[sd]?):?(?:[^\S\n]{1,9}|[^\S\n]{0,9}\n[^\S\n]{0,9})", re.IGNORECASE
)
_BRANCH = re.compile(r"(?:refs/heads/)?task/([1-9][0-9]{0,8})-([1-9][0-9]{0,5})")


def parse_reference(match: re.Match[str]) -> tuple[str | None, int]:
    """The repository (None: the text's own) and number of a match of `REFERENCE`."""
    return match["site"] or match["repository"], int(match["path"] or match["number"])


def find_issue_references(argument: str) -> tuple[tuple[str, ...], str]:
    """The issues that an argument names, as `#12` or `owner/repo#3`, each once; and what else is in it, in one line."""
    references = [parse_reference(match) for match in REFERENCE.finditer(argument)]
    other_text = " ".join(re.sub(r"[\s,;&]+|\band\b", " ", REFERENCE.sub(" ", argument)).split())
    return tuple(dict.fromkeys(f"{repository or ''}#{number}" for repository, number in references)), other_text


def closing_references(text: str, repository: str, server: str = "https://github.com") -> tuple[int, ...]:
    """The issues of `repository` (`owner/name`) that merging a pull request with this text would close.

    GitHub's rule: one keyword for each reference, so `fixes #1, #2` closes #1 alone; a reference without a
    keyword closes nothing. Code, quotes, comments and struck-out text do not count. In order, each once.
    """
    prose_text = prose(clean(text))
    numbers: dict[int, None] = {}
    for keyword in _KEYWORD.finditer(prose_text):
        match = REFERENCE.match(prose_text, keyword.end())
        if match is None or (match["server"] or server).lower() != server.lower().rstrip("/"):
            continue
        owner_repo, number = parse_reference(match)
        if owner_repo is None or owner_repo.lower() == repository.lower():
            numbers[number] = None
    return tuple(numbers)


def branch_name(number: int, attempt: int) -> str:
    """The branch on which an agent works on a task: `task/<issue>-<attempt>`.

    Raises ValueError for a number or an attempt below 1.
    """
    if number < 1 or attempt < 1:
        raise ValueError(f"a task branch needs an issue and an attempt from 1 on, not {number} and {attempt}")
    return f"task/{number}-{attempt}"


def parse_branch(name: str) -> tuple[int, int] | None:
    """Issue and attempt of a branch named by `branch_name`, `refs/heads/` allowed; None for any other."""
    match = _BRANCH.fullmatch(name)
    return (int(match[1]), int(match[2])) if match else None
