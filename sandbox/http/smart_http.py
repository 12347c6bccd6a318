"""Git over smart HTTP. The sandbox advertises refs; git itself sends and receives packs."""

from __future__ import annotations

import asyncio
import functools
import subprocess
from collections.abc import Mapping
from pathlib import Path

from aiohttp import web

from sandbox.errors import ApiError
from sandbox.git.command import git_environment, run_git
from sandbox.git.objects import ZERO, RefChange
from sandbox.git.protocol import fetch_capabilities, ls_refs_response, parse_ls_refs, push_advertisement
from sandbox.git.repository import GitRepository
from sandbox.http.auth import authenticate
from sandbox.hub import Hub
from sandbox.services.pushes import process_push
from sandbox.state.credentials import Credential
from sandbox.state.models import Repository, role_at_least

SERVICES = ("git-upload-pack", "git-receive-pack")


@functools.cache
def backend_path() -> Path:
    """The path of this machine's `git http-backend`. Raises FileNotFoundError when git came without it."""
    result = subprocess.run(["git", "--exec-path"], capture_output=True, text=True, check=True)
    path = Path(result.stdout.strip()) / "git-http-backend"
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: install git with its http-backend to serve repositories")
    return path


def is_git(path: str) -> bool:
    """Whether a request comes from a git client; `.git` may be left out of the address, as on GitHub."""
    parts = path.split("/", 3)
    return len(parts) == 4 and (parts[2].endswith(".git") or parts[3] in ("info/refs", *SERVICES))


def wants_write(path: str, service: str) -> bool:
    """Whether a smart HTTP request is part of a push."""
    return path.endswith("git-receive-pack") or service == "git-receive-pack"


async def answer(repository: GitRepository, request: web.Request, rest: str, login: str) -> web.Response:
    """Answer one request of a git client; `rest` is the path below the repository.

    The sandbox advertises refs without a process, git sends and receives packs. Requests of clients with older
    protocols go to `git http-backend`.
    """
    body = await request.content.read()
    second = "version=2" in request.headers.get("Git-Protocol", "").split(":")
    service = request.query.get("service", rest)
    if service == "git-receive-pack":
        if rest == "info/refs":
            return _said(service, "advertisement", push_advertisement(_pushable(repository)))
        return await _rpc(repository, service, body, {})
    if not second:
        return await _backend(repository, request, rest, body, login)
    if rest == "info/refs":
        return _said(service, "advertisement", fetch_capabilities())
    try:
        prefixes = parse_ls_refs(body)
    except ValueError as error:
        return web.Response(status=400, text=f"This is no request of protocol 2: {error}")
    if prefixes is not None:
        return _said(service, "result", _refs(repository, prefixes))
    return await _rpc(repository, service, body, {"GIT_PROTOCOL": "version=2"})


def _said(service: str, what: str, body: bytes) -> web.Response:
    headers = {"Content-Type": f"application/x-{service}-{what}", "Cache-Control": "no-cache"}
    return web.Response(body=body, headers=headers)


def _pushable(repository: GitRepository) -> dict[str, str]:
    refs = repository.ref_store.list_refs("refs/")
    return {name: sha for name, sha in refs.items() if not name.startswith("refs/pull/")}


def _refs(repository: GitRepository, prefixes: list[str]) -> bytes:
    refs = repository.ref_store.list_refs("refs/")
    tags = {name: repository.peel(sha) for name, sha in refs.items() if name.startswith("refs/tags/")}
    peeled = {name: sha for name, sha in tags.items() if sha is not None and sha != refs[name]}
    return ls_refs_response(prefixes, repository.ref_store.head(), refs, peeled)


async def _rpc(repository: GitRepository, service: str, body: bytes, environment: Mapping[str, str]) -> web.Response:
    arguments = (service.removeprefix("git-"), "--stateless-rpc", ".")
    # Git's output tells the client what is wrong, so its exit status is ignored.
    _, out = await run_git(
        arguments, directory=repository.path, stdin=body, environment=environment, allowed_statuses=range(256)
    )
    return _said(service, "result", out)


async def _backend(repository: GitRepository, request: web.Request, rest: str, body: bytes, login: str) -> web.Response:
    environment = git_environment(
        {
            "GIT_PROJECT_ROOT": str(repository.path.parent),
            "PATH_INFO": f"/{repository.path.name}/{rest}",
            "GIT_HTTP_EXPORT_ALL": "1",
            "REMOTE_USER": login,
            "REMOTE_ADDR": "127.0.0.1",
            "REQUEST_METHOD": request.method,
            "QUERY_STRING": request.query_string,
            "CONTENT_TYPE": request.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            # aiohttp has already unpacked a gzipped body, so Content-Encoding is not passed on.
            "GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
        }
    )
    process = await asyncio.create_subprocess_exec(
        str(backend_path()),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
    )
    try:
        stdout, stderr = await process.communicate(body)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    head, separator, payload = stdout.partition(b"\r\n\r\n")
    if not separator:
        text = f"git http-backend gave no answer: {stderr.decode(errors='replace')}"
        return web.Response(status=500, text=text)
    status = 200
    headers: dict[str, str] = {}
    for line in head.decode(errors="replace").split("\r\n"):
        name, _, value = line.partition(":")
        if name.lower() == "status":
            status = int(value.split()[0])
        else:
            headers[name] = value.strip()
    return web.Response(status=status, headers=headers, body=payload)


def moved(before: Mapping[str, str], after: Mapping[str, str]) -> list[RefChange]:
    """The refs that a push created, moved or deleted."""
    return [
        RefChange(ref, before.get(ref, ZERO), after.get(ref, ZERO))
        for ref in sorted({*before, *after})
        if before.get(ref) != after.get(ref)
    ]


def _challenge(message: str) -> web.Response:
    return web.Response(status=401, text=message, headers={"WWW-Authenticate": 'Basic realm="GitHub"'})


def _refusal(repository: Repository | None, credential: Credential, *, write: bool) -> web.Response | None:
    """The refusal when the sender may not do this, else None."""
    if repository is None or (credential.kind != "anonymous" and not credential.has_access(repository)):
        return web.Response(status=404, text="Repository not found.")
    if credential.kind == "app":
        return web.Response(status=403, text="A JSON web token is no git credential; use an installation token.")
    if credential.kind == "anonymous":
        needs = write or repository.private
        return _challenge("Authentication required.") if needs else None
    if credential.kind in ("installation", "run"):
        allowed = credential.has_permission(f"contents:{'write' if write else 'read'}")
    else:
        allowed = credential.user is not None and role_at_least(
            repository.role_of(credential.user), "write" if write else "read"
        )
    if not allowed:
        return web.Response(status=403, text=f"Permission to {repository.full_name}.git denied to {credential.name}.")
    if write and repository.archived:
        return web.Response(status=403, text="This repository was archived so it is read-only.")
    return None


async def serve(hub: Hub, request: web.Request) -> web.Response:
    """Answer one request of a git client; an error of the sandbox itself is recorded in `hub.errors`."""
    try:
        return await _serve(hub, request)
    except Exception as error:
        hub.errors.append(error)
        raise


async def _serve(hub: Hub, request: web.Request) -> web.Response:
    _, owner, name, rest = request.path.split("/", 3)
    repository = hub.find_repository(f"{owner}/{name.removesuffix('.git')}")
    try:
        credential = authenticate(hub, request.headers.get("Authorization"))
    except ApiError:
        return _challenge("Invalid username or token.")
    service = request.query.get("service", "")
    if rest != "info/refs" and rest not in SERVICES:
        return web.Response(status=404, text="Only smart HTTP is served here.")
    refusal = _refusal(repository, credential, write=wants_write(rest, service))
    if refusal is not None or repository is None:
        return refusal or web.Response(status=404)
    if rest != "git-receive-pack":
        return await answer(repository.git, request, rest, credential.name)
    async with repository.git.lock:
        before = await repository.git.refs("refs/")
        response = await answer(repository.git, request, rest, credential.name)
        changes = moved(before, await repository.git.refs("refs/"))
    if credential.user is not None:
        await process_push(hub, repository, changes, credential.user)
    return response
