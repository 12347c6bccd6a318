"""Search."""

from __future__ import annotations

from sandbox.errors import invalid
from sandbox.http.routes import Call, Reply, route
from sandbox.serializers import issues as issue_serializer
from sandbox.services import search
from sandbox.state.models import Issue


@route("GET", "/search/issues", "search/issues-and-pull-requests")
async def issues(call: Call) -> Reply:
    """Issues and pull requests that the sender may see."""
    query = call.query.get("q", "")
    matching_issues = [
        issue for issue in search.search_issues(call.hub, query) if call.credential.can_see(issue.repository)
    ]
    order = call.query.get("sort")
    if order not in (None, "created", "updated", "comments"):
        raise invalid("Search", "sort")
    backwards = call.query.get("order", "desc") == "desc"
    if order == "comments":
        matching_issues.sort(key=lambda issue: len(issue.comments), reverse=backwards)
    elif order is not None:
        matching_issues.sort(
            key=lambda issue: issue.updated_at if order == "updated" else issue.created_at, reverse=backwards
        )
    return call.paginate(
        matching_issues,
        lambda issue: _scored(call, issue),
        key="items",
        extra={"incomplete_results": False, "search_type": "lexical"},
    )


def _scored(call: Call, issue: Issue) -> dict[str, object]:
    shown = issue_serializer.issue(call.hub, issue) | {"score": 1.0}
    del shown["closed_by"]
    if shown["body"] is None:
        # The description requires a body here to be a text or absent.
        del shown["body"]
    return shown
