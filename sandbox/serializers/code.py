"""Commits, files of a diff and pushes, as GitHub shows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from sandbox.clock import timestamp
from sandbox.git.diff import FileChange
from sandbox.git.objects import ZERO, GitCommit, GitIdentity, RefChange
from sandbox.hub import Hub
from sandbox.serializers import base
from sandbox.state.ids import node_id
from sandbox.state.models import Repository, User


def commit_user(hub: Hub, identity: GitIdentity) -> dict[str, Any] | None:
    """The account behind a commit's e-mail address, or None."""
    user = find_account(hub, identity)
    return None if user is None else base.user(hub, user)


def find_account(hub: Hub, identity: GitIdentity) -> User | None:
    """The account whose address a commit carries, or None."""
    for user in hub.users.values():
        if identity.email in (user.commit_email, user.email):
            return user
    return None


def repository_html_url(hub: Hub, repository: Repository) -> str:
    """The address of a repository's page."""
    return f"{hub.url}/{repository.full_name}"


def simple_commit(commit: GitCommit) -> dict[str, Any]:
    """A commit inside check suites and runs."""
    return {
        "id": commit.sha,
        "tree_id": commit.tree,
        "message": commit.message,
        "timestamp": timestamp(commit.committed_at),
        "author": {"name": commit.author.name, "email": commit.author.email},
        "committer": {"name": commit.committer.name, "email": commit.committer.email},
    }


def _git_signature(identity: GitIdentity, when: str) -> dict[str, str]:
    return {"name": identity.name, "email": identity.email, "date": when}


def _verification() -> dict[str, Any]:
    return {
        "verified": False,
        "reason": "unsigned",
        "signature": None,
        "payload": None,
        "verified_at": None,
    }


def git_commit(hub: Hub, repository: Repository, commit: GitCommit) -> dict[str, Any]:
    """A commit of the git data API."""
    api_url = base.repository_url(hub, repository)
    html_url = repository_html_url(hub, repository)
    return {
        "sha": commit.sha,
        "node_id": node_id("C", int(commit.sha[:10], 16)),
        "url": f"{api_url}/git/commits/{commit.sha}",
        "html_url": f"{html_url}/commit/{commit.sha}",
        "author": _git_signature(commit.author, timestamp(commit.authored_at)),
        "committer": _git_signature(commit.committer, timestamp(commit.committed_at)),
        "tree": {"sha": commit.tree, "url": f"{api_url}/git/trees/{commit.tree}"},
        "message": commit.message,
        "parents": [
            {"sha": sha, "url": f"{api_url}/git/commits/{sha}", "html_url": f"{html_url}/commit/{sha}"}
            for sha in commit.parents
        ],
        "verification": _verification(),
    }


def commit(hub: Hub, repository: Repository, item: GitCommit, files: list[FileChange] | None = None) -> dict[str, Any]:
    """A commit as lists and `GET commits/{ref}` show it; with `files` it carries its statistics."""
    api_url, html_url = base.repository_url(hub, repository), repository_html_url(hub, repository)
    payload: dict[str, Any] = {
        "sha": item.sha,
        "node_id": node_id("C", int(item.sha[:10], 16)),
        "commit": {
            "author": _git_signature(item.author, timestamp(item.authored_at)),
            "committer": _git_signature(item.committer, timestamp(item.committed_at)),
            "message": item.message,
            "tree": {"sha": item.tree, "url": f"{api_url}/git/trees/{item.tree}"},
            "url": f"{api_url}/git/commits/{item.sha}",
            "comment_count": 0,
            "verification": _verification(),
        },
        "url": f"{api_url}/commits/{item.sha}",
        "html_url": f"{html_url}/commit/{item.sha}",
        "comments_url": f"{api_url}/commits/{item.sha}/comments",
        "author": commit_user(hub, item.author),
        "committer": commit_user(hub, item.committer),
        "parents": [
            {"sha": sha, "url": f"{api_url}/commits/{sha}", "html_url": f"{html_url}/commit/{sha}"}
            for sha in item.parents
        ],
    }
    if files is not None:
        added, deleted = sum(file.additions for file in files), sum(file.deletions for file in files)
        payload["stats"] = {"additions": added, "deletions": deleted, "total": added + deleted}
        payload["files"] = [diff_file(hub, repository, change, item.sha) for change in files]
    return payload


def diff_file(hub: Hub, repository: Repository, change: FileChange, sha: str) -> dict[str, Any]:
    """One file of a diff."""
    path = quote(change.path)
    payload: dict[str, Any] = {
        "sha": change.sha,
        "filename": change.path,
        "status": change.status,
        "additions": change.additions,
        "deletions": change.deletions,
        "changes": change.additions + change.deletions,
        "blob_url": f"{repository_html_url(hub, repository)}/blob/{sha}/{path}",
        "raw_url": f"{repository_html_url(hub, repository)}/raw/{sha}/{path}",
        "contents_url": f"{base.repository_url(hub, repository)}/contents/{path}?ref={sha}",
    }
    if change.patch is not None:
        payload["patch"] = change.patch
    if change.previous_path is not None:
        payload["previous_filename"] = change.previous_path
    return payload


def _push_signature(hub: Hub, identity: GitIdentity, when: str) -> dict[str, Any]:
    user = find_account(hub, identity)
    payload = {"name": identity.name, "email": identity.email, "date": when}
    return payload if user is None else {**payload, "username": user.login}


def push_commit(hub: Hub, repository: Repository, item: GitCommit, files: list[FileChange]) -> dict[str, Any]:
    """A commit inside a `push` webhook."""
    return {
        "id": item.sha,
        "tree_id": item.tree,
        "distinct": True,
        "message": item.message,
        "timestamp": timestamp(item.committed_at),
        "url": f"{repository_html_url(hub, repository)}/commit/{item.sha}",
        "author": _push_signature(hub, item.author, timestamp(item.authored_at)),
        "committer": _push_signature(hub, item.committer, timestamp(item.committed_at)),
        "added": [file.path for file in files if file.status in ("added", "renamed", "copied")],
        "removed": [file.previous_path or file.path for file in files if file.status in ("removed", "renamed")],
        "modified": [file.path for file in files if file.status in ("modified", "changed")],
    }


def push(
    hub: Hub,
    repository: Repository,
    change: RefChange,
    actor: User,
    commits: list[dict[str, Any]],
    head: Mapping[str, Any] | None,
    *,
    forced: bool,
) -> dict[str, Any]:
    """The fields of a `push` webhook that are not common to all."""
    return {
        "ref": change.ref,
        "before": change.before,
        "after": change.after,
        "base_ref": None,
        "created": change.before == ZERO,
        "deleted": change.after == ZERO,
        "forced": forced,
        "compare": f"{repository_html_url(hub, repository)}/compare/{change.before[:12]}...{change.after[:12]}",
        "commits": commits,
        "head_commit": None if head is None else dict(head),
        "pusher": {"name": actor.login, "email": actor.commit_email},
    }
