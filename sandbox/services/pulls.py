"""Open, edit and close pull requests, and compute their mergeability.

As on GitHub, mergeability is unknown after every change (`mergeable: null`) and computed in the background.
Workflows for a pull request start only then, and not while it conflicts.
"""

from __future__ import annotations

from typing import Any

from sandbox.actions import triggers
from sandbox.errors import ApiError, invalid
from sandbox.git.objects import GitIdentity
from sandbox.hub import Hub
from sandbox.serializers import pulls as pull_serializer
from sandbox.services import issues
from sandbox.state.models import App, Issue, PullRequest, Repository, User

GITHUB_IDENTITY = GitIdentity("GitHub", "noreply@github.com")


def identity(user: User) -> GitIdentity:
    """The identity of a person in commits that are made on GitHub."""
    return GitIdentity(user.name or user.login, user.commit_email)


def emit(hub: Hub, pull: PullRequest, action: str, sender: User, **fields: Any) -> dict[str, Any]:
    """Send a `pull_request` webhook and return its fields, for the workflows that listen."""
    pull_payload = pull_serializer.pull_request(hub, pull)
    hub.emit(
        pull.repository,
        "pull_request",
        action,
        sender=sender,
        number=pull.number,
        pull_request=pull_payload,
        **fields,
    )
    return {"action": action, "number": pull.number, "pull_request": pull_payload, **fields}


def _validation_error(message: str) -> ApiError:
    return ApiError(
        422, "Validation Failed", errors=[{"resource": "PullRequest", "code": "custom", "message": message}]
    )


async def open_pull(
    hub: Hub,
    repository: Repository,
    actor: User,
    *,
    head: str,
    base: str,
    title: str,
    body: str | None = None,
    draft: bool = False,
    via_app: App | None = None,
) -> PullRequest:
    """Open a pull request. Raises ApiError 422: no such branch, nothing to merge, already open."""
    owner, _, branch = head.rpartition(":")
    if not title.strip():
        raise invalid("PullRequest", "title", "missing_field")
    base_sha = repository.git.ref(f"refs/heads/{base}")
    head_sha = repository.git.ref(f"refs/heads/{branch}")
    if base_sha is None:
        raise invalid("PullRequest", "base")
    if head_sha is None or owner.lower() not in ("", repository.owner.login.lower()):
        raise invalid("PullRequest", "head")
    if any(
        existing.state == "open" and (existing.head_ref, existing.base_ref) == (branch, base)
        for existing in repository.pulls()
    ):
        raise _validation_error(f"A pull request already exists for {repository.owner.login}:{branch}.")
    if not await repository.git.commits_between(base_sha, head_sha):
        raise _validation_error(f"No commits between {base} and {branch}")
    now = hub.now()
    issue = Issue(
        id=hub.new_id(),
        repository=repository,
        number=repository.next_number(),
        title=title,
        body=body,
        user=actor,
        created_at=now,
        updated_at=now,
        via_app=via_app,
    )
    pull = PullRequest(
        id=hub.new_id(),
        issue=issue,
        head_ref=branch,
        head_sha=head_sha,
        base_ref=base,
        base_sha=base_sha,
        draft=draft,
    )
    issue.pull = pull
    repository.issues[issue.number] = issue
    await repository.git.update_ref(f"refs/pull/{pull.number}/head", head_sha)
    await update_diff_stats(pull)
    payload = emit(hub, pull, "opened", actor)
    schedule_mergeability_check(hub, pull, "opened", actor, payload)
    return pull


async def update_diff_stats(pull: PullRequest) -> None:
    """Count commits, files and lines, from the merge base as GitHub does."""
    git = pull.repository.git
    merge_base = await git.merge_base(pull.base_sha, pull.head_sha)
    files = await git.changes(merge_base or pull.base_sha, pull.head_sha)
    pull.commits = await git.commits_between(pull.base_sha, pull.head_sha)
    pull.additions = sum(change.additions for change in files)
    pull.deletions = sum(change.deletions for change in files)
    pull.changed_files = len(files)


def reset_mergeability(pull: PullRequest) -> None:
    """Reset the mergeability; the next read computes it again."""
    pull.mergeable, pull.mergeable_state, pull.conflicts = None, "unknown", ()


def schedule_mergeability_check(
    hub: Hub,
    pull: PullRequest,
    action: str | None = None,
    actor: User | None = None,
    payload: dict[str, Any] | None = None,
) -> None:
    """Reset the mergeability, compute it in the background, then start the workflows."""
    reset_mergeability(pull)

    async def check() -> None:
        merge_sha = await check_mergeability(hub, pull)
        if action is not None and actor is not None:
            await triggers.on_pull_request(hub, pull, action, actor, payload or {}, merge_sha)

    hub.spawn(check(), name=f"mergeability of #{pull.number}")


async def check_mergeability(hub: Hub, pull: PullRequest) -> str | None:
    """Merge head and base in memory and return the test merge (`refs/pull/N/merge`), or None on conflict."""
    git, head, base = pull.repository.git, pull.head_sha, pull.base_sha
    if pull.state != "open":
        return None
    merge = await git.merge(base, head)
    if (head, base) != (pull.head_sha, pull.base_sha) or pull.state != "open":
        return None  # a later push computes it again
    pull.mergeable, pull.conflicts = merge.tree is not None, merge.conflicts
    if merge.tree is None:
        pull.merge_commit_sha = None
    else:
        pull.merge_commit_sha = await git.commit_tree(
            merge.tree, [base, head], f"Merge {head} into {base}", author=GITHUB_IDENTITY, when=hub.now()
        )
        await git.update_ref(f"refs/pull/{pull.number}/merge", pull.merge_commit_sha)
    refresh_state(pull)
    return pull.merge_commit_sha


def refresh_state(pull: PullRequest) -> None:
    """Set `mergeable_state` from the current checks and reviews, which change without a push."""
    if pull.mergeable is None or pull.merged:
        pull.mergeable_state = "unknown"
    elif not pull.mergeable:
        pull.mergeable_state = "dirty"
    elif pull.draft:
        pull.mergeable_state = "draft"
    elif unmet_rule(pull):
        pull.mergeable_state = "blocked"
    elif all(_check_results(pull).values()):
        pull.mergeable_state = "clean"
    else:
        pull.mergeable_state = "unstable"


def _check_results(pull: PullRequest) -> dict[str, bool]:
    """The newest check or status of each name on the head."""
    repository = pull.repository
    passing_conclusions = ("success", "neutral", "skipped")
    results = {run.name: run.conclusion in passing_conclusions for run in repository.check_runs(pull.head_sha)}
    for status in sorted(repository.statuses, key=lambda status: status.id):
        if status.sha == pull.head_sha:
            results[status.context] = status.state == "success"
    return results


def unmet_rule(pull: PullRequest) -> str | None:
    """GitHub's message for the first branch rule that is not met, or None."""
    repository = pull.repository
    results = _check_results(pull)
    for name in repository.required_checks.get(pull.base_ref, []):
        if name not in results:
            return f'Required status check "{name}" is expected.'
        if not results[name]:
            return f'Required status check "{name}" is failing or has not finished.'
    approval_count = repository.required_approvals.get(pull.base_ref, 0)
    review_states = {
        review.user.id: review.state
        for review in pull.reviews
        if review.state in ("APPROVED", "CHANGES_REQUESTED", "DISMISSED")
    }
    if approval_count and "CHANGES_REQUESTED" in review_states.values():
        return "Changes have been requested by a reviewer with write access."
    if list(review_states.values()).count("APPROVED") < approval_count:
        review_noun = "review is" if approval_count == 1 else "reviews are"
        return f"At least {approval_count} approving {review_noun} required by reviewers with write access."
    return None


async def edit(
    hub: Hub,
    pull: PullRequest,
    actor: User,
    *,
    title: str | None = None,
    body: str | None = None,
    base: str | None = None,
) -> None:
    """Edit title, text or base (None leaves it); sends `edited` with the previous values."""
    issue = pull.issue
    changes: dict[str, Any] = {}
    if title is not None and title != issue.title:
        changes["title"] = {"from": issue.title}
        issue.title = title
    if body is not None and body != (issue.body or ""):
        changes["body"] = {"from": issue.body or ""}
        issue.body = body
    if base is not None and base != pull.base_ref:
        sha = pull.repository.git.ref(f"refs/heads/{base}")
        if sha is None:
            raise invalid("PullRequest", "base")
        if pull.state != "open":
            raise _validation_error("Cannot change the base branch of a closed pull request.")
        changes["base"] = {"ref": {"from": pull.base_ref}, "sha": {"from": pull.base_sha}}
        pull.base_ref, pull.base_sha = base, sha
        await update_diff_stats(pull)
        schedule_mergeability_check(hub, pull)
    if changes:
        issue.updated_at = hub.now()
        emit(hub, pull, "edited", actor, changes=changes)


def set_draft(hub: Hub, pull: PullRequest, actor: User, *, draft: bool) -> None:
    """Turn a pull request into a draft, or mark it ready for review."""
    if pull.draft != draft:
        pull.draft = draft
        pull.issue.updated_at = hub.now()
        refresh_state(pull)
        emit(hub, pull, "converted_to_draft" if draft else "ready_for_review", actor)


def close(hub: Hub, pull: PullRequest, actor: User) -> None:
    """Close a pull request without merging it."""
    issues.close(hub, pull.issue, actor)


async def reopen(hub: Hub, pull: PullRequest, actor: User) -> None:
    """Reopen a pull request. Raises ApiError 422 when it was merged or its branch is gone."""
    if pull.state == "open":
        return
    head = pull.repository.git.ref(f"refs/heads/{pull.head_ref}")
    base = pull.repository.git.ref(f"refs/heads/{pull.base_ref}")
    if pull.merged or head is None or base is None:
        raise invalid("PullRequest", "state", "invalid", "state cannot be changed. The branch was merged or deleted.")
    pull.head_sha, pull.base_sha = head, base
    await pull.repository.git.update_ref(f"refs/pull/{pull.number}/head", head)
    await update_diff_stats(pull)
    reset_mergeability(pull)
    issues.reopen(hub, pull.issue, actor)
    payload = {"action": "reopened", "number": pull.number, "pull_request": pull_serializer.pull_request(hub, pull)}
    schedule_mergeability_check(hub, pull, "reopened", actor, payload)


async def list_commits(pull: PullRequest) -> list[Any]:
    """Its commits, oldest first."""
    commits = await pull.repository.git.commits(f"{pull.base_sha}..{pull.head_sha}")
    return list(reversed(commits))


async def list_files(pull: PullRequest) -> list[Any]:
    """Its changed files with patches, from the merge base."""
    git = pull.repository.git
    merge_base = await git.merge_base(pull.base_sha, pull.head_sha)
    return await git.changes(merge_base or pull.base_sha, pull.head_sha)
