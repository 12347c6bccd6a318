"""Commits, files of a diff and pushes, as GitHub shows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from sandbox.clock import timestamp
from sandbox.git.diff import FileChange
from sandbox.git.objects import ZERO, Commit, Identity, RefChange
from sandbox.hub import Hub
from sandbox.serializers import base
from sandbox.state.ids import node_id
from sandbox.state.models import Repository, User


def person(hub: Hub, identity: Identity) -> dict[str, Any] | None:
    """The account behind a commit's e-mail address, or None."""
    user = account(hub, identity)
    return None if user is None else base.user(hub, user)


def account(hub: Hub, identity: Identity) -> User | None:
    """The account whose address a commit carries, or None."""
    for user in hub.users.values():
        if identity.email in (user.commit_email, user.email):
            return user
    return None


def html(hub: Hub, repository: Repository) -> str:
    """The address of a repository's page."""
    return f"{hub.url}/{repository.full_name}"


def simple_commit(commit: Commit) -> dict[str, Any]:
    """A commit inside check suites and runs."""
    return {
        "id": commit.sha,
        "tree_id": commit.tree,
        "message": commit.message,
        "timestamp": timestamp(commit.committed_at),
        "author": {"name": commit.author.name, "email": commit.author.email},
        "committer": {"name": commit.committer.name, "email": commit.committer.email},
    }


def _git_person(identity: Identity, when: str) -> dict[str, str]:
    return {"name": identity.name, "email": identity.email, "date": when}


def _verification() -> dict[str, Any]:
    return {
        "verified": False,
        "reason": "unsigned",
        "signature": None,
        "payload": None,
        "verified_at": None,
    }


def git_commit(hub: Hub, repository: Repository, commit: Commit) -> dict[str, Any]:
    """A commit of the git data API."""
    at = base.repository_url(hub, repository)
    page = html(hub, repository)
    return {
        "sha": commit.sha,
        "node_id": node_id("C", int(commit.sha[:10], 16)),
        "url": f"{at}/git/commits/{commit.sha}",
        "html_url": f"{page}/commit/{commit.sha}",
        "author": _git_person(commit.author, timestamp(commit.authored_at)),
        "committer": _git_person(commit.committer, timestamp(commit.committed_at)),
        "tree": {"sha": commit.tree, "url": f"{at}/git/trees/{commit.tree}"},
        "message": commit.message,
        "parents": [
            {"sha": sha, "url": f"{at}/git/commits/{sha}", "html_url": f"{page}/commit/{sha}"} for sha in commit.parents
        ],
        "verification": _verification(),
    }


def commit(hub: Hub, repository: Repository, value: Commit, files: list[FileChange] | None = None) -> dict[str, Any]:
    """A commit as lists and `GET commits/{ref}` show it; with `files` it carries its statistics."""
    at, page = base.repository_url(hub, repository), html(hub, repository)
    shown: dict[str, Any] = {
        "sha": value.sha,
        "node_id": node_id("C", int(value.sha[:10], 16)),
        "commit": {
            "author": _git_person(value.author, timestamp(value.authored_at)),
            "committer": _git_person(value.committer, timestamp(value.committed_at)),
            "message": value.message,
            "tree": {"sha": value.tree, "url": f"{at}/git/trees/{value.tree}"},
            "url": f"{at}/git/commits/{value.sha}",
            "comment_count": 0,
            "verification": _verification(),
        },
        "url": f"{at}/commits/{value.sha}",
        "html_url": f"{page}/commit/{value.sha}",
        "comments_url": f"{at}/commits/{value.sha}/comments",
        "author": person(hub, value.author),
        "committer": person(hub, value.committer),
        "parents": [
            {"sha": sha, "url": f"{at}/commits/{sha}", "html_url": f"{page}/commit/{sha}"} for sha in value.parents
        ],
    }
    if files is not None:
        added, deleted = sum(f.additions for f in files), sum(f.deletions for f in files)
        shown["stats"] = {"additions": added, "deletions": deleted, "total": added + deleted}
        shown["files"] = [file(hub, repository, change, value.sha) for change in files]
    return shown


def file(hub: Hub, repository: Repository, change: FileChange, sha: str) -> dict[str, Any]:
    """One file of a diff."""
    path = quote(change.path)
    shown: dict[str, Any] = {
        "sha": change.sha,
        "filename": change.path,
        "status": change.status,
        "additions": change.additions,
        "deletions": change.deletions,
        "changes": change.additions + change.deletions,
        "blob_url": f"{html(hub, repository)}/blob/{sha}/{path}",
        "raw_url": f"{html(hub, repository)}/raw/{sha}/{path}",
        "contents_url": f"{base.repository_url(hub, repository)}/contents/{path}?ref={sha}",
    }
    if change.patch is not None:
        shown["patch"] = change.patch
    if change.previous_path is not None:
        shown["previous_filename"] = change.previous_path
    return shown


def _push_person(hub: Hub, identity: Identity, when: str) -> dict[str, Any]:
    user = account(hub, identity)
    shown = {"name": identity.name, "email": identity.email, "date": when}
    return shown if user is None else {**shown, "username": user.login}


def push_commit(hub: Hub, repository: Repository, value: Commit, files: list[FileChange]) -> dict[str, Any]:
    """A commit inside a `push` webhook."""
    return {
        "id": value.sha,
        "tree_id": value.tree,
        "distinct": True,
        "message": value.message,
        "timestamp": timestamp(value.committed_at),
        "url": f"{html(hub, repository)}/commit/{value.sha}",
        "author": _push_person(hub, value.author, timestamp(value.authored_at)),
        "committer": _push_person(hub, value.committer, timestamp(value.committed_at)),
        "added": [f.path for f in files if f.status in ("added", "renamed", "copied")],
        "removed": [f.previous_path or f.path for f in files if f.status in ("removed", "renamed")],
        "modified": [f.path for f in files if f.status in ("modified", "changed")],
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
        "compare": f"{html(hub, repository)}/compare/{change.before[:12]}...{change.after[:12]}",
        "commits": commits,
        "head_commit": None if head is None else dict(head),
        "pusher": {"name": actor.login, "email": actor.commit_email},
    }
