"""Search of issues: GitHub's qualifiers as far as a bot needs them; an unknown one is an error, not
a guess.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from sandbox.http.errors import ApiError, invalid
from sandbox.state.models import Issue

if TYPE_CHECKING:
    from sandbox.sandbox import Sandbox

Test = Callable[[Issue], bool]
_TERM = re.compile(r'(-?)(?:([a-z-]+):)?("[^"]*"|\S+)')
_IS: dict[str, Test] = {
    "issue": lambda issue: issue.pull is None,
    "pr": lambda issue: issue.pull is not None,
    "pull-request": lambda issue: issue.pull is not None,
    "open": lambda issue: issue.state == "open",
    "closed": lambda issue: issue.state == "closed",
    "merged": lambda issue: issue.pull is not None and issue.pull.merged,
    "unmerged": lambda issue: issue.pull is not None and not issue.pull.merged,
    "draft": lambda issue: issue.pull is not None and issue.pull.draft,
    "locked": lambda issue: issue.locked,
    "public": lambda issue: not issue.repository.private,
    "private": lambda issue: issue.repository.private,
}
_NO: dict[str, Test] = {
    "label": lambda issue: not issue.labels,
    "assignee": lambda issue: not issue.assignees,
    "milestone": lambda issue: True,
}


def find(hub: Sandbox, query: str) -> list[Issue]:
    """The issues and pull requests that a query means, newest first. Raises ApiError 422 for what it cannot
    read.
    """
    tests = list(_tests(query))
    if not tests:
        raise _unreadable("The search is empty")
    every = (issue for repository in hub.repositories.values() for issue in repository.issues.values())
    found = [issue for issue in every if all(test(issue) for test in tests)]
    return sorted(found, key=lambda issue: (issue.created_at, issue.id), reverse=True)


def _tests(query: str) -> Iterable[Test]:
    scopes: list[Test] = []
    words: list[str] = []
    places: set[str] = set()
    for minus, name, raw in _TERM.findall(query):
        value = raw.strip('"')
        if name == "in":
            places |= set(value.split(","))
        elif name in ("repo", "org", "user") and not minus:
            # Several repositories are alternatives; everything else must hold together.
            scopes.append(_qualifier(name, value))
        elif name:
            test = _qualifier(name, value)
            yield _not(test) if minus else test
        else:
            words.append(value.lower())
    if scopes:
        yield lambda issue: any(scope(issue) for scope in scopes)
    for word in words:
        yield _contains(word, places or {"title", "body", "comments"})


def _not(test: Test) -> Test:
    return lambda issue: not test(issue)


def _contains(word: str, places: set[str]) -> Test:
    return lambda issue: word in _text(issue, places)


def _qualifier(name: str, value: str) -> Test:
    low = value.lower()
    simple: dict[str, Test] = {
        "repo": lambda issue: issue.repository.full_name.lower() == low,
        "org": lambda issue: issue.repository.owner.login.lower() == low,
        "user": lambda issue: issue.repository.owner.login.lower() == low,
        "label": lambda issue: bool(
            {one.strip('"') for one in low.split(",")} & {n.lower() for n in issue.label_names}
        ),
        "author": lambda issue: low in (issue.user.login.lower(), f"app/{issue.user.login.lower()[:-5]}"),
        "assignee": lambda issue: low in [one.login.lower() for one in issue.assignees],
        "commenter": lambda issue: low in [one.user.login.lower() for one in issue.comments],
        "mentions": lambda issue: f"@{low}" in _text(issue, {"body", "comments"}),
        "head": lambda issue: issue.pull is not None and issue.pull.head_ref == value,
        "base": lambda issue: issue.pull is not None and issue.pull.base_ref == value,
        "reason": lambda issue: (issue.state_reason or "").replace("_", " ") == low,
        "sha": lambda issue: issue.pull is not None and issue.pull.head_sha.startswith(low),
    }
    if name in simple:
        return simple[name]
    if name in ("is", "state", "type") and low in _IS:
        return _IS[low]
    if name == "no" and low in _NO:
        return _NO[low]
    if name in ("created", "updated", "closed"):
        return _dated(name, value)
    raise _unreadable(f"The sandbox cannot search by {name}:{value}")


def _dated(name: str, value: str) -> Test:
    match = re.fullmatch(r"(>=|<=|>|<)?(\d{4}-\d\d-\d\d\S*)", value)
    if match is None:
        raise _unreadable(f"{name}:{value} is not a date such as >=2026-03-02")
    sign, text = match[1] or "", match[2]

    def test(issue: Issue) -> bool:
        moment: datetime | None = getattr(issue, f"{name}_at")
        if moment is None:
            return False
        shown = moment.isoformat()[: len(text)]
        bound = text.replace("Z", "")[: len(shown)]
        shown = shown[: len(bound)]
        return {
            "": shown == bound,
            ">": shown > bound,
            ">=": shown >= bound,
            "<": shown < bound,
            "<=": shown <= bound,
        }[sign]

    return test


def _unreadable(message: str) -> ApiError:
    return invalid("Search", "q", "invalid", message)


def _text(issue: Issue, places: set[str]) -> str:
    parts = []
    if "title" in places:
        parts.append(issue.title)
    if "body" in places:
        parts.append(issue.body or "")
    if "comments" in places:
        parts += [comment.body for comment in issue.comments]
    return "\n".join(parts).lower()
