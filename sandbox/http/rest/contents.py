"""REST: reading and writing single files."""

from __future__ import annotations

import base64
import binascii
from typing import Any
from urllib.parse import quote

from sandbox.errors import ApiError, invalid_request, not_found
from sandbox.git.objects import GitIdentity
from sandbox.http.routes import Call, Reply, route
from sandbox.serializers import code as code_serializer
from sandbox.serializers import issues as issue_serializer
from sandbox.services import pulls
from sandbox.services.pushes import process_push
from sandbox.state.models import Repository

FILE = "/repos/{owner}/{repo}/contents/{path:.+}"
CONTENT_TYPES = {"blob": "file", "tree": "dir", "commit": "submodule"}


def _content_payload(call: Call, path: str, kind: str, sha: str, size: int | None, ref: str) -> dict[str, Any]:
    repository: Repository = call.repository
    api_url, html_url = (
        issue_serializer.repository_url(call.hub, repository),
        code_serializer.repository_html_url(call.hub, repository),
    )
    url = f"{api_url}/contents/{quote(path)}?ref={quote(ref)}"
    git_url = f"{api_url}/git/{'trees' if kind == 'tree' else 'blobs'}/{sha}"
    blob_url = f"{html_url}/{'tree' if kind == 'tree' else 'blob'}/{quote(ref)}/{quote(path)}"
    return {
        "name": path.rsplit("/", 1)[-1],
        "path": path,
        "sha": sha,
        "size": size or 0,
        "url": url,
        "html_url": blob_url,
        "git_url": git_url,
        "download_url": f"{html_url}/raw/{quote(ref)}/{quote(path)}" if kind == "blob" else None,
        "type": CONTENT_TYPES[kind],
        "_links": {"self": url, "git": git_url, "html": blob_url},
    }


async def _find_entry(call: Call, ref: str, path: str) -> tuple[str, str, int | None] | None:
    """(type, sha, size) of what is at a path, or None."""
    folder, _, name = path.rpartition("/")
    for _, kind, sha, size, entry in await call.repository.git.tree(ref, folder):
        if entry == name:
            return kind, sha, size
    return None


async def _get_contents(call: Call, path: str) -> Reply:
    ref = call.query.get("ref") or call.repository.default_branch
    sha = await call.repository.git.resolve(ref)
    if sha is None:
        raise ApiError(404, f"No commit found for the ref {ref}")
    entry = ("tree", sha, None) if not path else await _find_entry(call, sha, path)
    if entry is None:
        raise not_found()
    kind, blob, size = entry
    if kind == "tree":
        entries = await call.repository.git.tree(sha, path)
        prefix = f"{path}/" if path else ""
        return Reply(
            200,
            [
                _content_payload(call, prefix + name, kind, entry_sha, size, ref)
                for _, kind, entry_sha, size, name in entries
            ],
        )
    entry_info = await call.repository.git.blob(sha, path) or b""
    if "raw" in call.headers.get("Accept", ""):
        return Reply(200, entry_info)
    body = _content_payload(call, path, kind, blob, size, ref)
    return Reply(200, body | {"encoding": "base64", "content": base64.encodebytes(entry_info).decode()})


@route("GET", "/repos/{owner}/{repo}/contents", "repos/get-content", permission="contents:read")
async def get_root(call: Call) -> Reply:
    """The files of the root folder."""
    return await _get_contents(call, "")


@route("GET", FILE, "repos/get-content", permission="contents:read")
async def get_content(call: Call) -> Reply:
    """A file (base64, or raw on request) or the entries of a folder."""
    return await _get_contents(call, call.params["path"].strip("/"))


def _identity_field(call: Call, field: str) -> GitIdentity | None:
    fields: dict[str, Any] | None = call.field(field, dict)
    if fields is None:
        return None
    return GitIdentity(str(fields.get("name") or call.actor.login), str(fields.get("email") or call.actor.commit_email))


async def _commit_file(call: Call, data: bytes | None) -> Reply:
    """Write (or with None delete) the file of the path as one commit on a branch."""
    repository, git, path = call.repository, call.repository.git, call.params["path"].strip("/")
    branch = call.text("branch") or repository.default_branch
    message = call.required("message", str)
    sha = call.text("sha")
    if any(part in ("", ".", "..", ".git") for part in path.split("/")):
        raise ApiError(422, f"path contains a malformed path component: {path}")
    async with git.lock:
        head = git.ref(f"refs/heads/{branch}")
        if head is None:
            raise ApiError(404, f"Branch {branch} not found")
        existing = await _find_entry(call, head, path)
        if data is None and existing is None:
            raise not_found()
        if existing is not None and sha is None:
            raise invalid_request('"sha" wasn\'t supplied.')
        if sha is not None and (existing is None or existing[1] != sha):
            raise ApiError(409, f"{path} does not match {sha}")
        author = _identity_field(call, "author") or _identity_field(call, "committer") or pulls.identity(call.actor)
        committer = _identity_field(call, "committer") or pulls.GITHUB_IDENTITY
        change = await git.write_commit(
            branch, {path: data}, message, author=author, committer=committer, when=call.hub.now()
        )
    await process_push(call.hub, repository, [change], call.actor)
    commit = code_serializer.git_commit(call.hub, repository, await git.commit(change.after))
    content = None
    if data is not None:
        entry = await _find_entry(call, change.after, path)
        content = None if entry is None else _content_payload(call, path, entry[0], entry[1], entry[2], branch)
    return Reply(200 if existing is not None else 201, {"content": content, "commit": commit})


@route("PUT", FILE, "repos/create-or-update-file-contents", permission="contents:write", content=True)
async def put_content(call: Call) -> Reply:
    """Create a file, or replace it when `sha` is that of the existing file."""
    try:
        data = base64.b64decode(call.required("content", str), validate=False)
    except binascii.Error as error:
        raise ApiError(422, "content is not valid Base64") from error
    return await _commit_file(call, data)


@route("DELETE", FILE, "repos/delete-file", permission="contents:write")
async def delete_content(call: Call) -> Reply:
    """Delete a file; `sha` must be that of the existing file."""
    return await _commit_file(call, None)
