"""Search issues by the GitHub qualifiers that a bot needs; an unknown one is an error."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import datetime

from sandbox.errors import ApiError, invalid
from sandbox.hub import Hub
from sandbox.state.models import Issue

IssueFilter = Callable[[Issue], bool]
_TERM = re.compile(r'(-?)(?:([a-z-]+):)?("[^"]*"|\S+)')
_IS: dict[str, IssueFilter] = {
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
_NO: dict[str, IssueFilter] = {
    "label": lambda issue: not issue.labels,
    "assignee": lambda issue: not issue.assignees,
    "milestone": lambda issue: True,
}


def search_issues(hub: Hub, query: str) -> list[Issue]:
    """The issues and pull requests that match a query, newest first. Raises ApiError 422 for an unknown qualifier."""
    filters = list(_parse_query(query))
    if not filters:
        raise _invalid_query("The search is empty")
    issues = (issue for repository in hub.repositories.values() for issue in repository.issues.values())
    matches = [issue for issue in issues if all(issue_filter(issue) for issue_filter in filters)]
    return sorted(matches, key=lambda issue: (issue.created_at, issue.id), reverse=True)


def _parse_query(query: str) -> Iterable[IssueFilter]:
    repository_filters: list[IssueFilter] = []
    terms: list[str] = []
    fields: set[str] = set()
    for negated, name, raw in _TERM.findall(query):
        value = raw.strip('"')
        if name == "in":
            fields |= set(value.split(","))
        elif name in ("repo", "org", "user") and not negated:
            # Several repositories are alternatives; all other qualifiers must match.
            repository_filters.append(_qualifier_filter(name, value))
        elif name:
            issue_filter = _qualifier_filter(name, value)
            yield _negate(issue_filter) if negated else issue_filter
        else:
            terms.append(value.lower())
    if repository_filters:
        yield lambda issue: any(repository_filter(issue) for repository_filter in repository_filters)
    for term in terms:
        yield _contains(term, fields or {"title", "body", "comments"})


def _negate(issue_filter: IssueFilter) -> IssueFilter:
    return lambda issue: not issue_filter(issue)


def _contains(term: str, fields: set[str]) -> IssueFilter:
    return lambda issue: term in _searched_text(issue, fields)


def _qualifier_filter(name: str, value: str) -> IssueFilter:
    lowered = value.lower()
    filters: dict[str, IssueFilter] = {
        "repo": lambda issue: issue.repository.full_name.lower() == lowered,
        "org": lambda issue: issue.repository.owner.login.lower() == lowered,
        "user": lambda issue: issue.repository.owner.login.lower() == lowered,
        "label": lambda issue: bool(
            {item.strip('"') for item in lowered.split(",")} & {label_name.lower() for label_name in issue.label_names}
        ),
        "author": lambda issue: lowered in (issue.user.login.lower(), f"app/{issue.user.login.lower()[:-5]}"),
        "assignee": lambda issue: lowered in [item.login.lower() for item in issue.assignees],
        "commenter": lambda issue: lowered in [item.user.login.lower() for item in issue.comments],
        "mentions": lambda issue: f"@{lowered}" in _searched_text(issue, {"body", "comments"}),
        "head": lambda issue: issue.pull is not None and issue.pull.head_ref == value,
        "base": lambda issue: issue.pull is not None and issue.pull.base_ref == value,
        "reason": lambda issue: (issue.state_reason or "").replace("_", " ") == lowered,
        "sha": lambda issue: issue.pull is not None and issue.pull.head_sha.startswith(lowered),
    }
    if name in filters:
        return filters[name]
    if name in ("is", "state", "type") and lowered in _IS:
        return _IS[lowered]
    if name == "no" and lowered in _NO:
        return _NO[lowered]
    if name in ("created", "updated", "closed"):
        return _date_filter(name, value)
    raise _invalid_query(f"The sandbox cannot search by {name}:{value}")


def _date_filter(name: str, value: str) -> IssueFilter:
    match = re.fullmatch(r"(>=|<=|>|<)?(\d{4}-\d\d-\d\d\S*)", value)
    if match is None:
        raise _invalid_query(f"{name}:{value} is not a date such as >=2026-03-02")
    operator, text = match[1] or "", match[2]

    def matches(issue: Issue) -> bool:
        moment: datetime | None = getattr(issue, f"{name}_at")
        if moment is None:
            return False
        issue_date = moment.isoformat()[: len(text)]
        bound = text.replace("Z", "")[: len(issue_date)]
        issue_date = issue_date[: len(bound)]
        return {
            "": issue_date == bound,
            ">": issue_date > bound,
            ">=": issue_date >= bound,
            "<": issue_date < bound,
            "<=": issue_date <= bound,
        }[operator]

    return matches


def _invalid_query(message: str) -> ApiError:
    return invalid("Search", "q", "invalid", message)


def _searched_text(issue: Issue, fields: set[str]) -> str:
    parts = []
    if "title" in fields:
        parts.append(issue.title)
    if "body" in fields:
        parts.append(issue.body or "")
    if "comments" in fields:
        parts += [comment.body for comment in issue.comments]
    return "\n".join(parts).lower()
