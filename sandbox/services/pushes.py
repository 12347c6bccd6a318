"""What follows from a ref that moved: webhooks, pull requests brought up to date, workflows started."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import TYPE_CHECKING, Any

from sandbox.actions import triggers
from sandbox.git.objects import EMPTY_TREE, ZERO, RefChange
from sandbox.serializers import code as code_serializer
from sandbox.services import checks, closing_keywords, issues, pulls
from sandbox.state.models import PullRequest, Repository, User

if TYPE_CHECKING:
    from sandbox.sandbox import Sandbox

MAX_COMMITS = 2048  # GitHub lists no more in a push


async def after_push(hub: Sandbox, repository: Repository, changes: Sequence[RefChange], actor: User) -> None:
    """Tell the world of moved branches and tags, in GitHub's order; other refs are nobody's business."""
    for change in changes:
        if change.before == change.after or not change.ref.startswith(("refs/heads/", "refs/tags/")):
            continue
        repository.pushed_at = repository.updated_at = hub.now()
        new = await _new_commits(repository, change)
        said = await _tell(hub, repository, change, actor, new)
        if change.ref.startswith("refs/heads/"):
            # What only went on has all that it had; who has none of what came is as far from it as before.
            went_on = not said["forced"] and 0 < len(new) < MAX_COMMITS
            await _branch(hub, repository, change, actor, {commit.sha for commit in new} if went_on else None)
        await triggers.on_push(hub, repository, change, actor, said)


async def _tell(
    hub: Sandbox, repository: Repository, change: RefChange, actor: User, new: Sequence[Any]
) -> dict[str, Any]:
    git = repository.git
    commits = []
    for commit in new:
        before = commit.parents[0] if commit.parents else EMPTY_TREE
        files = await git.changes(before, commit.sha)
        commits.append(code_serializer.push_commit(hub, repository, commit, files))
    head: dict[str, Any] | None = commits[-1] if commits else None
    if head is None and change.after != ZERO:
        tip = await git.commit(change.after)
        head = code_serializer.push_commit(hub, repository, tip, [])
    forced = ZERO not in (change.before, change.after) and not await git.is_ancestor(change.before, change.after)
    said = code_serializer.push(hub, repository, change, actor, commits, head, forced=forced)
    hub.emit(repository, "push", None, sender=actor, **said)
    if change.after != ZERO and change.ref.startswith("refs/heads/"):
        branch = change.ref.removeprefix("refs/heads/")
        checks.requested(hub, repository, change.after, branch, change.before, actor)
    if change.ref == f"refs/heads/{repository.default_branch}":
        for commit in new:
            for issue in closing_keywords.closed_by_text(repository, commit.message):
                issues.close(hub, issue, actor, commit_id=commit.sha)
    return said


async def _new_commits(repository: Repository, change: RefChange) -> list[Any]:
    if change.after == ZERO:
        return []
    start = change.before
    if start == ZERO:
        # A new branch brings what the default branch does not have.
        default = repository.git.ref(f"refs/heads/{repository.default_branch}")
        start = default if default not in (None, change.after) else ZERO
    revisions = [change.after] if start == ZERO else [f"{start}..{change.after}"]
    if start == ZERO and change.ref != f"refs/heads/{repository.default_branch}":
        return []
    found = await repository.git.commits(*revisions, limit=MAX_COMMITS)
    return list(reversed(found))


async def _branch(hub: Sandbox, repository: Repository, change: RefChange, actor: User, came: Set[str] | None) -> None:
    """`came` are the commits that were put on top; None where it did not simply go on."""
    branch = change.ref.removeprefix("refs/heads/")
    for pull in [p for p in repository.pulls() if p.state == "open"]:
        if pull.head_ref == branch:
            await _head_moved(hub, pull, change, actor)
        elif pull.base_ref == branch:
            await _base_moved(hub, pull, change, actor, came)


async def _head_moved(hub: Sandbox, pull: PullRequest, change: RefChange, actor: User) -> None:
    if change.after == ZERO:
        pulls.close(hub, pull, actor)
        return
    if pull.head_sha == change.after:
        return
    before, pull.head_sha = pull.head_sha, change.after
    pull.issue.updated_at = hub.now()
    await pull.repository.git.update_ref(f"refs/pull/{pull.number}/head", change.after)
    await pulls.measure(pull)
    pulls.forget(pull)
    said = pulls.tell(hub, pull, "synchronize", actor, before=before, after=change.after)
    pulls.judge_soon(hub, pull, "synchronize", actor, said)


async def _base_moved(hub: Sandbox, pull: PullRequest, change: RefChange, actor: User, came: Set[str] | None) -> None:
    if change.after == ZERO:
        pulls.close(hub, pull, actor)
        return
    if came is not None and pull.base_sha == change.before and pull.commits and came.isdisjoint(pull.commits):
        pull.base_sha = change.after
        pulls.forget(pull)
        return
    if await pull.repository.git.is_ancestor(pull.head_sha, change.after):
        # Somebody merged by hand and pushed: GitHub notices and calls it merged.
        mark_merged(hub, pull, actor, change.after)
        return
    pull.base_sha = change.after
    await pulls.measure(pull)
    pulls.forget(pull)


def mark_merged(hub: Sandbox, pull: PullRequest, actor: User, commit: str) -> None:
    """A pull request is merged: state, webhook, and the issues its text closes."""
    now = hub.now()
    pull.merged, pull.merged_at, pull.merged_by, pull.merge_commit_sha = True, now, actor, commit
    pulls.refresh_state(pull)
    issues.close(hub, pull.issue, actor)
    if pull.base_ref == pull.repository.default_branch:
        for issue in closing_keywords.closed_by_text(pull.repository, pull.body):
            issues.close(hub, issue, actor)
