"""Start workflows on pushes, pull requests and `repository_dispatch`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.git.objects import RefChange
from sandbox.hub import Hub
from sandbox.state.models import PullRequest, Repository, User, WorkflowRun

RUN_ACTOR = "github-actions[bot]"


async def on_push(hub: Hub, repository: Repository, change: RefChange, actor: User, payload: Mapping[str, Any]) -> None:
    """Start the workflows of a push to a branch or tag; pushes with a run's token start none."""
    if actor.login == RUN_ACTOR or not change.after.strip("0"):
        return
    branch = change.ref.removeprefix("refs/heads/") if change.ref.startswith("refs/heads/") else None
    paths: tuple[str, ...] = ()
    if change.before.strip("0"):
        paths = tuple(file_change.path for file_change in await repository.git.changes(change.before, change.after))
    commit = await repository.git.commit(change.after)
    for file in await hub.workflow_index.files(repository, change.after):
        if hub.workflow_index.enabled(repository, file) and file.matches_event("push", branch=branch, paths=paths):
            await hub.actions.start(
                repository,
                file,
                event="push",
                actor=actor,
                sha=change.after,
                ref=change.ref,
                title=commit.message.split("\n", 1)[0],
                payload=dict(payload),
            )


async def on_pull_request(
    hub: Hub,
    pull: PullRequest,
    action: str,
    actor: User,
    payload: Mapping[str, Any],
    merge_sha: str | None,
) -> None:
    """Start the workflows of a pull request on its merge with the base; none while it conflicts."""
    if actor.login == RUN_ACTOR or merge_sha is None:
        return
    repository = pull.repository
    paths = tuple(file_change.path for file_change in await repository.git.changes(pull.base_sha, merge_sha))
    for file in await hub.workflow_index.files(repository, merge_sha):
        is_triggered = file.matches_event("pull_request", action=action, branch=pull.base_ref, paths=paths)
        if is_triggered and hub.workflow_index.enabled(repository, file):
            await hub.actions.start(
                repository,
                file,
                event="pull_request",
                actor=actor,
                sha=pull.head_sha,
                ref=f"refs/pull/{pull.number}/merge",
                checkout=merge_sha,
                branch=pull.head_ref,
                title=pull.title,
                payload=dict(payload),
                pulls=[pull],
            )


async def on_dispatch(
    hub: Hub, repository: Repository, event_type: str, actor: User, payload: Mapping[str, Any]
) -> list[WorkflowRun]:
    """`repository_dispatch`: start the default branch's workflows that listen for this type."""
    branch = repository.default_branch
    sha = repository.git.head(branch)
    return [
        await hub.actions.start(
            repository,
            file,
            event="repository_dispatch",
            actor=actor,
            sha=sha,
            ref=f"refs/heads/{branch}",
            title=event_type,
            payload=dict(payload),
        )
        for file in await hub.workflow_index.files(repository, sha)
        if hub.workflow_index.enabled(repository, file) and file.matches_event("repository_dispatch", action=event_type)
    ]
