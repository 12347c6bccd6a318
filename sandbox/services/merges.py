"""Merge pull requests and branches, and update a pull request's branch."""

from __future__ import annotations

from collections.abc import Sequence

from sandbox.errors import ApiError
from sandbox.git.objects import ZERO, GitCommit, RefChange
from sandbox.hub import Hub
from sandbox.services import pulls
from sandbox.services.pushes import mark_merged, process_push
from sandbox.state.models import PullRequest, Repository, User


def _not_mergeable(message: str) -> ApiError:
    return ApiError(405, message)


def _check_mergeable(pull: PullRequest, method: str, sha: str | None) -> None:
    repository = pull.repository
    merge_methods = {
        "merge": (repository.allow_merge_commit, "Merge commits are not allowed on this repository."),
        "squash": (repository.allow_squash_merge, "Squash merges are not allowed on this repository."),
        "rebase": (repository.allow_rebase_merge, "Rebase merges are not allowed on this repository."),
    }
    if method not in merge_methods:
        raise ApiError(422, f"Invalid merge method {method!r}: use merge, squash or rebase")
    if not merge_methods[method][0]:
        raise _not_mergeable(merge_methods[method][1])
    if pull.merged or pull.state == "closed":
        raise _not_mergeable("Pull Request is not mergeable")
    if pull.draft:
        raise _not_mergeable("Pull Request is still a draft")
    current_head = repository.git.ref(f"refs/heads/{pull.head_ref}")  # a push may be in progress
    if (sha is not None and sha != pull.head_sha) or current_head not in (None, pull.head_sha):
        raise ApiError(409, "Head branch was modified. Review and try the merge again.")
    rule = pulls.unmet_rule(pull)
    if rule is not None:
        raise _not_mergeable(rule)


async def merge_pull(
    hub: Hub,
    pull: PullRequest,
    actor: User,
    *,
    method: str = "merge",
    sha: str | None = None,
    title: str | None = None,
    message: str | None = None,
) -> str:
    """Merge a pull request and return the new SHA of the base branch.

    Raises ApiError 405 when it cannot be merged (conflict, draft, rules), 409 when `sha` is not its head.
    """
    repository, git = pull.repository, pull.repository.git
    async with git.lock:
        _check_mergeable(pull, method, sha)
        await _require_up_to_date(pull)
        ref = f"refs/heads/{pull.base_ref}"
        base, head = git.head(pull.base_ref), pull.head_sha
        build_commit = {"merge": _merge_commit, "squash": _squash_commit, "rebase": _rebase_commits}[method]
        merge_sha = await build_commit(hub, pull, actor, base, title, message)
        if merge_sha is None:
            pull.mergeable = False
            pulls.refresh_state(pull)
            raise _not_mergeable("Pull Request is not mergeable")
        change = await git.update_ref(ref, merge_sha, base)
        changes = [change]
        if repository.delete_branch_on_merge and pull.head_ref != repository.default_branch:
            changes.append(await git.update_ref(f"refs/heads/{pull.head_ref}", ZERO, head))
    mark_merged(hub, pull, actor, merge_sha)
    await process_push(hub, repository, changes, actor)
    return merge_sha


async def _require_up_to_date(pull: PullRequest) -> None:
    git = pull.repository.git
    is_strict = pull.base_ref in pull.repository.strict_branches
    if is_strict and not await git.is_ancestor(git.head(pull.base_ref), pull.head_sha):
        raise ApiError(409, "Head branch is out of date. Review and try the merge again.")


async def _merge_commit(
    hub: Hub, pull: PullRequest, actor: User, base: str, title: str | None, message: str | None
) -> str | None:
    git = pull.repository.git
    merge = await git.merge(base, pull.head_sha)
    if merge.tree is None:
        return None
    head = f"{pull.repository.owner.login}/{pull.head_ref}"
    text = _commit_message(title or f"Merge pull request #{pull.number} from {head}", message, pull.title)
    return await git.commit_tree(
        merge.tree,
        [base, pull.head_sha],
        text,
        author=pulls.identity(actor),
        committer=pulls.GITHUB_IDENTITY,
        when=hub.now(),
    )


async def _squash_commit(
    hub: Hub, pull: PullRequest, actor: User, base: str, title: str | None, message: str | None
) -> str | None:
    git = pull.repository.git
    merge = await git.merge(base, pull.head_sha)
    if merge.tree is None:
        return None
    commits: Sequence[GitCommit] = await pulls.list_commits(pull)
    if len(commits) == 1:
        subject, _, remainder = commits[0].message.partition("\n")
        default_title, default_message = subject, remainder.strip()
    else:
        default_title = pull.title
        default_message = "\n\n".join(f"* {commit.message}" for commit in commits)
    text = _commit_message(title or f"{default_title} (#{pull.number})", message, default_message)
    return await git.commit_tree(
        merge.tree, [base], text, author=pulls.identity(pull.user), committer=pulls.GITHUB_IDENTITY, when=hub.now()
    )


async def _rebase_commits(
    hub: Hub, pull: PullRequest, actor: User, base: str, title: str | None, message: str | None
) -> str | None:
    """Replay the commits onto the base with their titles and messages, as on GitHub."""
    git = pull.repository.git
    tip = base
    for commit in await pulls.list_commits(pull):
        if len(commit.parents) != 1:
            continue
        # merge-tree takes the common ancestor as its base, so the tip gets a copy with this commit's parent.
        temporary_commit = await git.commit_tree(
            (await git.commit(tip)).tree, commit.parents, "twin", author=pulls.GITHUB_IDENTITY, when=hub.now()
        )
        merge = await git.merge(temporary_commit, commit.sha)
        if merge.tree is None:
            return None
        tip = await git.commit_tree(
            merge.tree,
            [tip],
            commit.message,
            author=commit.author,
            authored_at=commit.authored_at,
            committer=pulls.identity(actor),
            when=hub.now(),
        )
    return tip


def _commit_message(title: str, message: str | None, default: str) -> str:
    body = default if message is None else message
    return f"{title}\n\n{body}".rstrip() + "\n"


async def merge_branches(
    hub: Hub, repository: Repository, actor: User, *, base: str, head: str, message: str | None = None
) -> str | None:
    """Merge a branch or commit into a branch and return the new commit, or None when there was nothing to merge.

    Raises ApiError 404 for an unknown branch, 409 on conflict.
    """
    git = repository.git
    async with git.lock:
        ours = git.ref(f"refs/heads/{base}")
        if ours is None:
            raise ApiError(404, "Base does not exist")
        theirs = await git.resolve(head)
        if theirs is None:
            raise ApiError(404, "Head does not exist")
        if await git.is_ancestor(theirs, ours):
            return None
        merge = await git.merge(ours, theirs)
        if merge.tree is None:
            raise ApiError(409, "Merge conflict")
        merge_sha = await git.commit_tree(
            merge.tree,
            [ours, theirs],
            message or f"Merge {head} into {base}",
            author=pulls.identity(actor),
            committer=pulls.GITHUB_IDENTITY,
            when=hub.now(),
        )
        change: RefChange = await git.update_ref(f"refs/heads/{base}", merge_sha, ours)
    await process_push(hub, repository, [change], actor)
    return merge_sha


async def update_branch(hub: Hub, pull: PullRequest, actor: User, *, expected_head: str | None = None) -> None:
    """Merge the base of a pull request into its branch, as a commit of the actor's.

    As on GitHub it is accepted first and performed later; a push in between wins. Raises ApiError 422
    when `expected` is not the head, when they conflict, when there is nothing to bring in, when the branch is gone.
    """
    git = pull.repository.git
    async with git.lock:
        head = git.ref(f"refs/heads/{pull.head_ref}")
        if head is None or pull.state != "open":
            raise ApiError(422, "head ref does not exist")
        if expected_head not in (None, head):
            raise ApiError(422, "expected head sha didn't match current head ref.")
        base = git.head(pull.base_ref)
        if await git.is_ancestor(base, head):
            raise ApiError(422, "There are no new commits on the base branch.")
        merge = await git.merge(head, base)
        if merge.tree is None:
            raise ApiError(422, "merge conflict between base and head")
        merge_sha = await git.commit_tree(
            merge.tree,
            [head, base],
            f"Merge branch '{pull.base_ref}' into {pull.head_ref}\n",
            author=pulls.identity(actor),
            committer=pulls.GITHUB_IDENTITY,
            when=hub.now(),
        )

    async def push_merge() -> None:
        async with git.lock:
            if git.ref(f"refs/heads/{pull.head_ref}") != head:
                return
            change = await git.update_ref(f"refs/heads/{pull.head_ref}", merge_sha, head)
        await process_push(hub, pull.repository, [change], actor)

    hub.spawn(push_merge(), name=f"update of #{pull.number}")
