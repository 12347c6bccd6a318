"""Commit statuses."""

from __future__ import annotations

from sandbox.http.rest.checks import resolve_ref
from sandbox.http.routes import Call, Reply, route
from sandbox.serializers import issues as issue_serializer
from sandbox.services import statuses

REPO = "/repos/{owner}/{repo}"


@route("POST", REPO + "/statuses/{sha}", "repos/create-commit-status", permission="statuses:write")
async def create_status(call: Call) -> Reply:
    """Set a status on a commit."""
    status = statuses.create(
        call.hub,
        call.repository,
        call.actor,
        await resolve_ref(call, call.params["sha"]),
        call.required("state", str),
        context=call.text("context") or "default",
        description=call.text("description"),
        target_url=call.text("target_url"),
    )
    return Reply(201, issue_serializer.status(call.hub, status))


@route(
    "GET",
    REPO + "/commits/{ref:.+}/statuses",
    "repos/list-commit-statuses-for-ref",
    permission="statuses:read",
)
async def list_statuses(call: Call) -> Reply:
    """Every status of a commit, newest first."""
    sha = await resolve_ref(call, call.params["ref"])
    status_list = [status for status in reversed(call.repository.statuses) if status.sha == sha]
    return call.paginate(status_list, lambda status: issue_serializer.status(call.hub, status))


@route("GET", REPO + "/commits/{ref:.+}/status", "repos/get-combined-status-for-ref", permission="statuses:read")
async def get_combined_status(call: Call) -> Reply:
    """The newest status of each context, and the combined state."""
    sha = await resolve_ref(call, call.params["ref"])
    latest = statuses.latest_statuses(call.repository, sha)
    api_url = issue_serializer.repository_url(call.hub, call.repository)
    repository = issue_serializer.repository(call.hub, call.repository)
    del repository["custom_properties"]
    simple = [
        {key: value for key, value in issue_serializer.status(call.hub, status).items() if key != "creator"}
        for status in latest
    ]
    body = {
        "state": statuses.combined_state(latest),
        "statuses": simple,
        "sha": sha,
        "total_count": len(latest),
        "repository": repository,
        "commit_url": f"{api_url}/commits/{sha}",
        "url": f"{api_url}/commits/{sha}/status",
    }
    return Reply(200, body)
