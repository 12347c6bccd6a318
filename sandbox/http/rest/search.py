"""Search."""

from __future__ import annotations

from sandbox.errors import invalid
from sandbox.http.routes import Call, Reply, route
from sandbox.serializers import issues as issue_serializer
from sandbox.services import search
from sandbox.state.models import Issue


@route("GET", "/search/issues", "search/issues-and-pull-requests")
async def search_issues(call: Call) -> Reply:
    """Issues and pull requests that the sender may see."""
    query = call.query.get("q", "")
    matching_issues = [
        issue for issue in search.search_issues(call.hub, query) if call.credential.can_see(issue.repository)
    ]
    sort = call.query.get("sort")
    if sort not in (None, "created", "updated", "comments"):
        raise invalid("Search", "sort")
    is_descending = call.query.get("order", "desc") == "desc"
    if sort == "comments":
        matching_issues.sort(key=lambda issue: len(issue.comments), reverse=is_descending)
    elif sort is not None:
        matching_issues.sort(
            key=lambda issue: issue.updated_at if sort == "updated" else issue.created_at, reverse=is_descending
        )
    return call.paginate(
        matching_issues,
        lambda issue: _scored_issue(call, issue),
        key="items",
        extra={"incomplete_results": False, "search_type": "lexical"},
    )


def _scored_issue(call: Call, issue: Issue) -> dict[str, object]:
    body = issue_serializer.issue(call.hub, issue) | {"score": 1.0}
    del body["closed_by"]
    if body["body"] is None:
        # The description requires a body here to be a text or absent.
        del body["body"]
    return body
