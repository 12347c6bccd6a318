"""Closing words: `closes #12` in a pull request or a commit closes the issue when it reaches the default
branch.
"""

from __future__ import annotations

import re

from sandbox.state.models import Issue, Repository

_WORDS = re.compile(
    r"(?<![\w-])(?:close[sd]?|fix(?:e[sd])?|resolve[sd]?):?\s+"
    r"(?:(?P<repo>[\w.-]+/[\w.-]+)?#|https?://\S+?/(?P<page>[\w.-]+/[\w.-]+)/issues/)(?P<number>\d{1,9})\b",
    re.IGNORECASE,
)


def closed_by_text(repository: Repository, text: str | None) -> list[Issue]:
    """The issues of this repository that a text closes; other repositories' are left alone."""
    found: dict[int, Issue] = {}
    for match in _WORDS.finditer(text or ""):
        place = match["repo"] or match["page"]
        issue = repository.issues.get(int(match["number"]))
        if issue is not None and issue.pull is None and place in (None, repository.full_name):
            found[issue.number] = issue
    return list(found.values())
