"""The way of a request through the sandbox: who, may they, how often, what goes wrong, the handler, the
headers.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import logging
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from aiohttp import web

from sandbox.faults.plan import AnswerRule
from sandbox.git import smart_http
from sandbox.http import rest
from sandbox.http.auth import ANONYMOUS, Credential, authenticate, bad_credentials, permit
from sandbox.http.errors import ApiError, not_found
from sandbox.http.rate_limits import secondary
from sandbox.http.routes import Call, Reply, Route, routes
from sandbox.idle import current_work
from sandbox.state.models import Repository

if TYPE_CHECKING:
    from sandbox.sandbox import Sandbox

log = logging.getLogger(__name__)
MAX_BODY = 100 * 1024 * 1024  # bytes: a push can be large
UNCOUNTED = frozenset({"rate-limit/get"})
API_VERSIONS = ("2022-11-28", "2026-03-10")

for _module in pkgutil.iter_modules(rest.__path__):
    importlib.import_module(f"sandbox.http.rest.{_module.name}")


@dataclass(eq=False, kw_only=True)
class RequestRecord:
    """One request to the API, for tests to count and read. `status` is 0 when the connection was closed
    instead.
    """

    at: datetime
    method: str
    path: str
    operation_id: str | None
    actor: str
    installation_id: int | None
    query: dict[str, str]
    body: Any
    status: int = 0
    answer: Any = field(default=None, repr=False)


class Server:
    """The HTTP server on 127.0.0.1 and a free port (or the one that was asked for)."""

    def __init__(self, hub: Sandbox, port: int) -> None:
        self._hub = hub
        self._port = port
        self._runner: web.AppRunner | None = None
        self._url: str | None = None

    @property
    def url(self) -> str:
        """The address. Raises RuntimeError before the sandbox was entered."""
        if self._url is None:
            raise RuntimeError("the sandbox has no address yet: use it inside `async with Sandbox(...)`")
        return self._url

    async def start(self) -> None:
        """Listen."""
        application = web.Application(client_max_size=MAX_BODY)
        application.router.add_route("*", "/{tail:.*}", self._serve)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self._url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def close(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        work = self._hub.begin(f"{request.method} {request.path}")
        current_work.set(work)
        try:
            if smart_http.is_git(request.path):
                return await smart_http.serve(self._hub, request)
            return await self._api(request)
        finally:
            work.end()

    async def _api(self, request: web.Request) -> web.StreamResponse:
        exchange = Exchange(self._hub, request)
        try:
            reply = await exchange.run(await request.read())
        except Hang as hang:
            if hang.seconds is not None:
                await self._hub.clock.sleep(hang.seconds)
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=500)
        payload, kind = encoded(reply.body)
        headers = dict(reply.headers)
        if payload is not None:
            headers.setdefault("Content-Type", kind)
        return web.Response(status=reply.status, body=payload, headers=headers)


def encoded(body: Any) -> tuple[bytes | None, str]:
    """The bytes of an answer's body and their type."""
    if body is None:
        return None, ""
    if isinstance(body, bytes):
        return body, "application/octet-stream"
    if isinstance(body, str):
        return body.encode(), "text/plain; charset=utf-8"
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode(), "application/json; charset=utf-8"


class Hang(Exception):
    """The fault plan wants no answer: the connection closes, after so many seconds or at once."""

    def __init__(self, seconds: float | None) -> None:
        super().__init__()
        self.seconds = seconds


class Exchange:
    """One request and its answer."""

    def __init__(self, hub: Sandbox, request: web.Request) -> None:
        self.hub = hub
        self.request = request
        raw = request.raw_path.partition("?")[0]
        self.path = raw.rstrip("/") or "/"
        self.query: dict[str, str] = dict(request.query)
        self.credential: Credential = ANONYMOUS
        self.headers: dict[str, str] = {
            "X-GitHub-Media-Type": "github.v3; format=json",
            "X-GitHub-Api-Version-Selected": request.headers.get("X-GitHub-Api-Version", API_VERSIONS[0]),
            "X-GitHub-Request-Id": f"{hub.random.getrandbits(64):016X}",
        }

    async def run(self, raw: bytes) -> Reply:
        """Answer, record, check against the contract. Raises Hang when the fault plan wants no answer."""
        self.path = self._by_name(self.path)
        matched = routes.match(self.request.method, self.path)
        operation = matched[0].operation if matched else None
        record = RequestRecord(
            at=self.hub.now(),
            method=self.request.method,
            path=unquote(self.path),
            operation_id=operation or None,
            actor="anonymous",
            installation_id=None,
            query=self.query,
            body=None,
        )
        counted = matched is None or bool(operation)
        if counted:
            self.hub.requests.append(record)
        try:
            reply = await self._answer(raw, matched, record)
        except ApiError as error:
            reply = Reply(error.status, error.body, error.headers)
        except Hang:
            raise
        except Exception as error:
            log.exception("the sandbox failed at %s %s", record.method, record.path)
            self.hub.errors.append(error)
            reply = Reply(500, {"message": "Server Error"})
        record.status, record.answer = reply.status, reply.body
        if counted and "X-RateLimit-Limit" not in self.headers:
            bucket = self.hub.meter.bucket(self.credential.bucket, "core", self.hub.now())
            self.headers |= bucket.headers("core")
        reply.headers = {**self.headers, **reply.headers}
        if counted:
            self._check_answer(record, reply)
            self._tag(reply)
        return reply

    async def _answer(self, raw: bytes, matched: tuple[Route, dict[str, str]] | None, record: RequestRecord) -> Reply:
        body = _parsed(raw)
        record.body = body
        if matched is None or matched[0].operation:
            self._check_request(record)
        if not self.request.headers.get("User-Agent"):
            raise ApiError(
                403,
                "Request forbidden by administrative rules. Please make sure your request has a User-Agent header",
            )
        version = self.request.headers.get("X-GitHub-Api-Version")
        if version is not None and version not in API_VERSIONS:
            raise ApiError(400, f"The API version {version!r} is not supported")
        self.credential = authenticate(self.hub, self.request.headers.get("Authorization"))
        record.actor = self.credential.name
        if self.credential.installation is not None:
            record.installation_id = self.credential.installation.id
        if matched is None:
            raise not_found()
        route, params = matched
        fault = self._fault(route.operation) if route.operation else None
        if fault is not None:
            self._before(fault)
        if route.operation:
            self._count(route, body)
        reply = await self._handle(route, params, body)
        if fault is not None and fault.kind == "500-done":
            raise ApiError(500, "Server Error")
        if fault is not None and fault.kind == "hang-done":
            raise Hang(fault.seconds)
        return reply

    async def _handle(self, route: Route, params: Mapping[str, str], body: Any) -> Reply:
        repository = self._repository(params)
        permit(self.credential, repository, route.permission, route.role)
        writes = route.method not in ("GET", "HEAD")
        if writes and repository is not None and repository.archived and route.operation:
            raise ApiError(403, "Repository was archived so is read-only.")
        call = Call(
            hub=self.hub,
            method=route.method,
            path=unquote(self.path),
            params=params,
            query=self.query,
            body=body,
            credential=self.credential,
            headers=self.request.headers,
            found=repository,
            permission=route.permission,
        )
        return await route.handler(call)

    def _repository(self, params: Mapping[str, str]) -> Repository | None:
        if "owner" not in params or "repo" not in params:
            return None
        name = f"{params['owner']}/{params['repo']}"
        repository = self.hub.find_repository(name)
        if repository is None:
            moved = self.hub.repositories.get(self.hub.former_names.get(name.lower(), 0))
            if moved is not None and self.credential.sees(moved):
                raise self._moved(moved)
            raise not_found()
        if not self.credential.sees(repository) and self.credential.kind != "app":
            raise not_found()
        return repository

    def _moved(self, repository: Repository) -> ApiError:
        rest, asked = "/".join(self.path.split("/")[4:]), self.request.rel_url.raw_query_string
        where = f"{self.hub.url}/repositories/{repository.id}/{rest}".rstrip("/") + f"?{asked}" * bool(asked)
        error = ApiError(301, "Moved Permanently", headers={"Location": where})
        error.body["url"] = where
        return error

    def _by_name(self, path: str) -> str:
        """`/repositories/{id}/…` is `/repos/{owner}/{repo}/…` by number."""
        parts = path.split("/")
        if len(parts) > 2 and parts[1] == "repositories" and parts[2].isdigit():
            repository = self.hub.repositories.get(int(parts[2]))
            if repository is not None:
                return "/".join(["", "repos", quote(repository.owner.login), quote(repository.name), *parts[3:]])
        return path

    def _fault(self, operation: str) -> AnswerRule | None:
        faults = self.hub.faults
        planned = faults.take_answer(operation)
        if planned is None and faults.weather is not None and self.credential.kind in ("app", "installation"):
            return faults.weather.answer(operation, unquote(self.path))
        return planned

    def _before(self, fault: AnswerRule) -> None:
        wait = 60 if fault.seconds is None else int(fault.seconds)
        if fault.kind == "502-not-done":
            raise ApiError(502, "Server Error")
        if fault.kind == "hang-not-done":
            raise Hang(fault.seconds)
        if fault.kind == "401-expired":
            raise bad_credentials()
        if fault.kind == "403-secondary":
            raise secondary(wait)
        if fault.kind == "429":
            raise secondary(wait, status=429)
        if fault.kind == "410-disabled":
            raise ApiError(410, "This feature is disabled for this repository")
        if fault.kind == "301-moved":
            parts = self.path.split("/")
            found = self.hub.find_repository("/".join(unquote(part) for part in parts[2:4]))
            if parts[1] != "repos" or found is None:
                raise ValueError(f"{self.path} is not below a repository: it cannot have moved")
            raise self._moved(found)

    def _count(self, route: Route, body: Any) -> None:
        resource = (
            "search" if route.template.startswith("/search") else "graphql" if route.template == "/graphql" else "core"
        )
        sender, now, method = self.credential.bucket, self.hub.now(), route.method
        mutates = resource == "graphql" and isinstance(body, dict) and "mutation" in str(body.get("query"))
        if resource == "graphql" and not mutates:
            method = "GET"  # what only reads counts as a read
        if route.operation in UNCOUNTED:
            bucket = self.hub.meter.bucket(sender, resource, now)
        else:
            bucket = self.hub.meter.spend(sender, resource, method, now, content=route.content or mutates)
        self.headers |= bucket.headers(resource)

    def _tag(self, reply: Reply) -> None:
        """Give an ETag; answer 304 to who has that version already, without counting it."""
        if self.request.method != "GET" or reply.status != 200 or reply.body is None:
            return
        payload, _ = encoded(reply.body)
        seed = (self.credential.token or self.credential.bucket).encode() + b"\0" + (payload or b"")
        tag = f'W/"{hashlib.sha256(seed).hexdigest()}"'
        reply.headers["ETag"] = tag
        reply.headers["Cache-Control"] = "private, max-age=60, s-maxage=60"
        wanted = [one.strip() for one in self.request.headers.get("If-None-Match", "").split(",")]
        if tag in wanted:
            reply.status, reply.body = 304, None
            bucket = self.hub.meter.bucket(
                self.credential.bucket, reply.headers.get("X-RateLimit-Resource", "core"), self.hub.now()
            )
            if self.credential.kind != "anonymous" and bucket.used:
                bucket.used -= 1
                reply.headers |= bucket.headers(reply.headers.get("X-RateLimit-Resource", "core"))

    def _check_request(self, record: RequestRecord) -> None:
        if self.hub.contract is not None:
            self.hub.violations += self.hub.contract.check_request(record.method, self.path, self.query, record.body)

    def _check_answer(self, record: RequestRecord, reply: Reply) -> None:
        if self.hub.contract is not None:
            self.hub.violations += self.hub.contract.check_answer(record.method, self.path, reply.status, reply.body)


def _parsed(raw: bytes) -> Any:
    if not raw.strip():
        return None
    try:
        return json.loads(raw)
    except (ValueError, UnicodeDecodeError) as error:
        raise ApiError(400, "Problems parsing JSON") from error
