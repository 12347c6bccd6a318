"""Closing keywords: `closes #12` in a pull request or a commit closes the issue on the default branch."""

from __future__ import annotations

import re

from sandbox.state.models import Issue, Repository

_CLOSING_KEYWORD = re.compile(
    r"(?<![\w-])(?:close[sd]?|fix(?:e[sd])?|resolve[sd]?):?\s+"
    r"(?:(?P<repo>[\w.-]+/[\w.-]+)?#|https?://\S+?/(?P<page>[\w.-]+/[\w.-]+)/issues/)(?P<number>\d{1,9})\b",
    re.IGNORECASE,
)


def closing_issues(repository: Repository, text: str | None) -> list[Issue]:
    """The issues of this repository that a text closes; those of other repositories are ignored."""
    issues: dict[int, Issue] = {}
    for match in _CLOSING_KEYWORD.finditer(text or ""):
        full_name = match["repo"] or match["page"]
        issue = repository.issues.get(int(match["number"]))
        if issue is not None and issue.pull is None and full_name in (None, repository.full_name):
            issues[issue.number] = issue
    return list(issues.values())
