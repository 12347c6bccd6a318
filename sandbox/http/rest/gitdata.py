"""REST: git's own objects: refs, blobs, trees, commits."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime
from typing import Any

from sandbox.errors import ApiError, invalid_request, not_found
from sandbox.git.command import GitCommandError
from sandbox.git.objects import ZERO, GitIdentity
from sandbox.http.routes import Call, Reply, route
from sandbox.serializers import code as code_serializer
from sandbox.serializers import issues as issue_serializer
from sandbox.services import pulls
from sandbox.services.pushes import process_push
from sandbox.state.ids import node_id

GIT = "/repos/{owner}/{repo}/git"
READ, WRITE = "contents:read", "contents:write"


def _ref_payload(call: Call, name: str, sha: str) -> dict[str, Any]:
    api_url = issue_serializer.repository_url(call.hub, call.repository)
    return {
        "ref": name,
        "node_id": node_id("REF", int(sha[:10], 16)),
        "url": f"{api_url}/git/{name}",
        "object": {"sha": sha, "type": "commit", "url": f"{api_url}/git/commits/{sha}"},
    }


@route("GET", f"{GIT}/ref/{{ref:.+}}", "git/get-ref", permission=READ)
async def get_ref(call: Call) -> Reply:
    """One ref, named without `refs/`."""
    name = f"refs/{call.params['ref']}"
    sha = call.repository.git.ref(name)
    if sha is None:
        raise not_found()
    return Reply(200, _ref_payload(call, name, sha))


@route("GET", f"{GIT}/matching-refs/{{ref:.+}}", "git/list-matching-refs", permission=READ)
async def list_matching_refs(call: Call) -> Reply:
    """The refs whose names start with the given text."""
    prefix = f"refs/{call.params['ref']}"
    matching_refs = [pair for pair in (await call.repository.git.refs()).items() if pair[0].startswith(prefix)]
    return call.paginate(matching_refs, lambda pair: _ref_payload(call, *pair))


async def _required_commit_sha(call: Call) -> str:
    sha = call.required("sha", str)
    if len(sha) != 40 or await call.repository.git.resolve(sha) is None:
        raise ApiError(422, "Object does not exist")
    return sha


def _check_writable(name: str) -> None:
    if not name.startswith(("refs/heads/", "refs/tags/")):
        raise ApiError(422, "Reference name must start with 'refs/heads/' or 'refs/tags/'.")


@route("POST", f"{GIT}/refs", "git/create-ref", permission=WRITE)
async def create_ref(call: Call) -> Reply:
    """Create a branch or tag."""
    name, sha = call.required("ref", str), await _required_commit_sha(call)
    _check_writable(name)
    git = call.repository.git
    async with git.lock:
        if git.ref(name) is not None:
            raise ApiError(422, "Reference already exists")
        try:
            change = await git.update_ref(name, sha, ZERO)
        except GitCommandError as error:
            raise ApiError(422, f"{name} is not a valid ref name.") from error
    await process_push(call.hub, call.repository, [change], call.actor)
    body = _ref_payload(call, name, sha)
    return Reply(201, body, {"Location": body["url"]})


@route("PATCH", f"{GIT}/refs/{{ref:.+}}", "git/update-ref", permission=WRITE)
async def update_ref(call: Call) -> Reply:
    """Move a branch or tag; only forward unless `force`."""
    name, sha = f"refs/{call.params['ref']}", await _required_commit_sha(call)
    _check_writable(name)
    git = call.repository.git
    async with git.lock:
        before = git.ref(name)
        if before is None:
            raise ApiError(422, "Reference does not exist")
        if not call.field("force", bool) and not await git.is_ancestor(before, sha):
            raise ApiError(422, "Update is not a fast forward")
        change = await git.update_ref(name, sha, before)
    await process_push(call.hub, call.repository, [change], call.actor)
    return Reply(200, _ref_payload(call, name, sha))


@route("DELETE", f"{GIT}/refs/{{ref:.+}}", "git/delete-ref", permission=WRITE)
async def delete_ref(call: Call) -> Reply:
    """Delete a branch or tag."""
    name = f"refs/{call.params['ref']}"
    _check_writable(name)
    git = call.repository.git
    async with git.lock:
        before = git.ref(name)
        if before is None:
            raise ApiError(422, "Reference does not exist")
        change = await git.update_ref(name, ZERO, before)
    await process_push(call.hub, call.repository, [change], call.actor)
    return Reply(204)


@route("GET", f"{GIT}/blobs/{{file_sha}}", "git/get-blob", permission=READ)
async def get_blob(call: Call) -> Reply:
    """A blob, base64."""
    sha = call.params["file_sha"]
    data = await call.repository.git.object(sha, "blob")
    if data is None:
        raise not_found()
    url = f"{issue_serializer.repository_url(call.hub, call.repository)}/git/blobs/{sha}"
    content = base64.encodebytes(data).decode()
    body: dict[str, Any] = {
        "sha": sha,
        "node_id": node_id("B", int(sha[:10], 16)),
        "size": len(data),
        "url": url,
    }
    return Reply(200, body | {"content": content, "encoding": "base64"})


@route("POST", f"{GIT}/blobs", "git/create-blob", permission=WRITE)
async def create_blob(call: Call) -> Reply:
    """Store a blob."""
    content = call.required("content", str)
    try:
        data = base64.b64decode(content) if call.text("encoding") == "base64" else content.encode()
    except binascii.Error as error:
        raise ApiError(422, "content is not valid Base64") from error
    sha = await call.repository.git.write_blob(data)
    url = f"{issue_serializer.repository_url(call.hub, call.repository)}/git/blobs/{sha}"
    return Reply(201, {"sha": sha, "url": url}, {"Location": url})


async def _tree_reply(call: Call, sha: str, status: int, *, recursive: bool) -> Reply:
    api_url = issue_serializer.repository_url(call.hub, call.repository)
    entries = []
    for mode, kind, entry_sha, size, path in await call.repository.git.tree(sha, recursive=recursive):
        entry: dict[str, Any] = {"path": path, "mode": mode, "type": kind, "sha": entry_sha}
        entry["url"] = f"{api_url}/git/{'trees' if kind == 'tree' else 'blobs'}/{entry_sha}"
        entries.append(entry if size is None else {**entry, "size": size})
    body: dict[str, Any] = {"sha": sha, "url": f"{api_url}/git/trees/{sha}", "tree": entries, "truncated": False}
    return Reply(status, body, {"Location": str(body["url"])} if status == 201 else {})


@route("GET", f"{GIT}/trees/{{tree_sha:.+}}", "git/get-tree", permission=READ)
async def get_tree(call: Call) -> Reply:
    """A tree by its SHA, or by the branch or commit that has it."""
    git, name = call.repository.git, call.params["tree_sha"]
    commit = await git.resolve(name)
    sha = (await git.commit(commit)).tree if commit else name
    if await git.object(sha, "tree") is None:
        raise not_found()
    return await _tree_reply(call, sha, 200, recursive="recursive" in call.query)


@route("POST", f"{GIT}/trees", "git/create-tree", permission=WRITE)
async def create_tree(call: Call) -> Reply:
    """Create a tree from another one and a list of changes."""
    entries: list[Any] = call.required("tree", list)
    lines = []
    for item in entries:
        if not isinstance(item, dict) or not isinstance(item.get("path"), str):
            raise invalid_request("Every entry of the tree needs a path.")
        mode, sha = str(item.get("mode") or "100644"), item.get("sha")
        if isinstance(item.get("content"), str):
            sha = await call.repository.git.write_blob(item["content"].encode())
        lines.append((mode, sha, item["path"]))
    try:
        tree_sha = await call.repository.git.write_tree(call.text("base_tree"), lines)
    except GitCommandError as error:
        raise ApiError(422, f"GitRPC::BadObjectState: {error.stderr.strip()}") from error
    return await _tree_reply(call, tree_sha, 201, recursive=False)


@route("GET", f"{GIT}/commits/{{commit_sha}}", "git/get-commit", permission=READ)
async def get_commit(call: Call) -> Reply:
    """A commit object."""
    sha = await call.repository.git.resolve(call.params["commit_sha"])
    if sha is None:
        raise not_found()
    return Reply(200, code_serializer.git_commit(call.hub, call.repository, await call.repository.git.commit(sha)))


def _parse_signature(call: Call, name: str) -> tuple[GitIdentity, datetime] | None:
    fields: dict[str, Any] | None = call.field(name, dict)
    if fields is None:
        return None
    try:
        when = datetime.fromisoformat(fields["date"]).astimezone(UTC) if fields.get("date") else call.hub.now()
    except (TypeError, ValueError) as error:
        raise invalid_request(f"{fields['date']!r} is not a time such as 2026-03-02T09:00:00Z.") from error
    return GitIdentity(str(fields.get("name") or ""), str(fields.get("email") or "")), when


@route("POST", f"{GIT}/commits", "git/create-commit", permission=WRITE)
async def create_commit(call: Call) -> Reply:
    """Write a commit object; no branch moves."""
    git = call.repository.git
    parents: list[str] = call.field("parents", list) or []
    author = _parse_signature(call, "author") or (pulls.identity(call.actor), call.hub.now())
    committer = _parse_signature(call, "committer") or author
    try:
        sha = await git.commit_tree(
            call.required("tree", str),
            [str(parent) for parent in parents],
            call.required("message", str),
            author=author[0],
            authored_at=author[1],
            committer=committer[0],
            when=committer[1],
        )
    except GitCommandError as error:
        raise ApiError(422, "Tree SHA does not exist or a parent is not a commit") from error
    body = code_serializer.git_commit(call.hub, call.repository, await git.commit(sha))
    return Reply(201, body, {"Location": body["url"]})
