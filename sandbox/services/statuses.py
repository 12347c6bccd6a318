"""Commit statuses, which never change; the newest of each context counts."""

from __future__ import annotations

from collections.abc import Sequence

from sandbox.clock import timestamp
from sandbox.errors import invalid
from sandbox.hub import Hub
from sandbox.serializers import base
from sandbox.serializers import code as code_serializer
from sandbox.state.models import CommitStatus, Repository, User

STATES = ("error", "failure", "pending", "success")


def create(
    hub: Hub,
    repository: Repository,
    actor: User,
    sha: str,
    state: str,
    *,
    context: str = "default",
    description: str | None = None,
    target_url: str | None = None,
) -> CommitStatus:
    """Set a status on a commit; sends `status`. Raises ApiError 422 for an unknown state or a long
    description.
    """
    if state not in STATES:
        raise invalid("Status", "state", "custom", f"state must be one of {', '.join(STATES)}")
    if description is not None and len(description) > 140:
        raise invalid("Status", "description", "custom", "description is too long (maximum is 140 characters)")
    now = hub.now()
    status = CommitStatus(
        id=hub.new_id(),
        repository=repository,
        sha=sha,
        state=state,
        context=context,
        description=description,
        target_url=target_url,
        creator=actor,
        created_at=now,
        updated_at=now,
    )
    repository.statuses.append(status)
    api_url = base.repository_url(hub, repository)
    branches = [name for name in repository.git.branches() if repository.git.head(name) == sha]
    hub.emit(
        repository,
        "status",
        None,
        sender=actor,
        id=status.id,
        sha=sha,
        name=repository.full_name,
        target_url=target_url,
        avatar_url=f"{hub.url}/avatars/u/{actor.id}?v=4",
        context=context,
        description=description,
        state=state,
        commit=code_serializer.commit(hub, repository, repository.git.show(sha)),
        branches=[
            {"name": name, "commit": {"sha": sha, "url": f"{api_url}/commits/{sha}"}, "protected": False}
            for name in branches
        ],
        created_at=timestamp(now),
        updated_at=timestamp(now),
    )
    return status


def latest_statuses(repository: Repository, sha: str) -> list[CommitStatus]:
    """The newest status of each context on a commit."""
    return list({status.context: status for status in repository.statuses if status.sha == sha}.values())


def combined_state(statuses: Sequence[CommitStatus]) -> str:
    """The combined state: failure if any failed, pending if any is or there are none, else success."""
    states = {status.state for status in statuses}
    if states & {"error", "failure"}:
        return "failure"
    return "success" if states == {"success"} else "pending"
