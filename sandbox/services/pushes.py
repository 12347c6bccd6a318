"""Apply a push: send webhooks, update pull requests, start workflows."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import Any

from sandbox.actions import triggers
from sandbox.git.objects import EMPTY_TREE, ZERO, RefChange
from sandbox.hub import Hub
from sandbox.serializers import code as code_serializer
from sandbox.services import checks, closing_keywords, issues, pulls
from sandbox.state.models import PullRequest, Repository, User

MAX_COMMITS = 2048  # GitHub's limit for a push


async def process_push(hub: Hub, repository: Repository, changes: Sequence[RefChange], actor: User) -> None:
    """Send the webhooks of moved branches and tags, in GitHub's order, and ignore other refs."""
    for change in changes:
        if change.before == change.after or not change.ref.startswith(("refs/heads/", "refs/tags/")):
            continue
        repository.pushed_at = repository.updated_at = hub.now()
        new_commits = await _new_commits(repository, change)
        payload = await _emit_push(hub, repository, change, actor, new_commits)
        if change.ref.startswith("refs/heads/"):
            # After a fast-forward, a pull request without any of the added commits is unchanged.
            is_fast_forward = not payload["forced"] and 0 < len(new_commits) < MAX_COMMITS
            await _update_pulls(
                hub, repository, change, actor, {commit.sha for commit in new_commits} if is_fast_forward else None
            )
        await triggers.on_push(hub, repository, change, actor, payload)


async def _emit_push(
    hub: Hub, repository: Repository, change: RefChange, actor: User, new_commits: Sequence[Any]
) -> dict[str, Any]:
    git = repository.git
    commits = []
    for commit in new_commits:
        parent = commit.parents[0] if commit.parents else EMPTY_TREE
        files = await git.changes(parent, commit.sha)
        commits.append(code_serializer.push_commit(hub, repository, commit, files))
    head: dict[str, Any] | None = commits[-1] if commits else None
    if head is None and change.after != ZERO:
        tip = await git.commit(change.after)
        head = code_serializer.push_commit(hub, repository, tip, [])
    forced = ZERO not in (change.before, change.after) and not await git.is_ancestor(change.before, change.after)
    payload = code_serializer.push(hub, repository, change, actor, commits, head, forced=forced)
    hub.emit(repository, "push", None, sender=actor, **payload)
    if change.after != ZERO and change.ref.startswith("refs/heads/"):
        branch = change.ref.removeprefix("refs/heads/")
        checks.request_suites(hub, repository, change.after, branch, change.before, actor)
    if change.ref == f"refs/heads/{repository.default_branch}":
        for commit in new_commits:
            for issue in closing_keywords.closing_issues(repository, commit.message):
                issues.close(hub, issue, actor, commit_id=commit.sha)
    return payload


async def _new_commits(repository: Repository, change: RefChange) -> list[Any]:
    if change.after == ZERO:
        return []
    base = change.before
    if base == ZERO:
        # A new branch adds the commits that the default branch lacks.
        default = repository.git.ref(f"refs/heads/{repository.default_branch}")
        base = default if default not in (None, change.after) else ZERO
    revisions = [change.after] if base == ZERO else [f"{base}..{change.after}"]
    if base == ZERO and change.ref != f"refs/heads/{repository.default_branch}":
        return []
    commits = await repository.git.commits(*revisions, limit=MAX_COMMITS)
    return list(reversed(commits))


async def _update_pulls(
    hub: Hub, repository: Repository, change: RefChange, actor: User, new_shas: Set[str] | None
) -> None:
    """`came` are the added commits; None when the push was not a fast-forward."""
    branch = change.ref.removeprefix("refs/heads/")
    for pull in [candidate for candidate in repository.pulls() if candidate.state == "open"]:
        if pull.head_ref == branch:
            await _update_head(hub, pull, change, actor)
        elif pull.base_ref == branch:
            await _update_base(hub, pull, change, actor, new_shas)


async def _update_head(hub: Hub, pull: PullRequest, change: RefChange, actor: User) -> None:
    if change.after == ZERO:
        pulls.close(hub, pull, actor)
        return
    if pull.head_sha == change.after:
        return
    previous_head, pull.head_sha = pull.head_sha, change.after
    pull.issue.updated_at = hub.now()
    await pull.repository.git.update_ref(f"refs/pull/{pull.number}/head", change.after)
    await pulls.update_diff_stats(pull)
    pulls.reset_mergeability(pull)
    payload = pulls.emit(hub, pull, "synchronize", actor, before=previous_head, after=change.after)
    pulls.schedule_mergeability_check(hub, pull, "synchronize", actor, payload)


async def _update_base(hub: Hub, pull: PullRequest, change: RefChange, actor: User, new_shas: Set[str] | None) -> None:
    if change.after == ZERO:
        pulls.close(hub, pull, actor)
        return
    if new_shas is not None and pull.base_sha == change.before and pull.commits and new_shas.isdisjoint(pull.commits):
        pull.base_sha = change.after
        pulls.reset_mergeability(pull)
        return
    if await pull.repository.git.is_ancestor(pull.head_sha, change.after):
        # A person merged locally and pushed: GitHub marks the pull request as merged.
        mark_merged(hub, pull, actor, change.after)
        return
    pull.base_sha = change.after
    await pulls.update_diff_stats(pull)
    pulls.reset_mergeability(pull)


def mark_merged(hub: Hub, pull: PullRequest, actor: User, merge_sha: str) -> None:
    """Mark a pull request as merged, send the webhook and close the issues that its text names."""
    now = hub.now()
    pull.merged, pull.merged_at, pull.merged_by, pull.merge_commit_sha = True, now, actor, merge_sha
    pulls.refresh_state(pull)
    issues.close(hub, pull.issue, actor)
    if pull.base_ref == pull.repository.default_branch:
        for issue in closing_keywords.closing_issues(pull.repository, pull.body):
            issues.close(hub, issue, actor)
