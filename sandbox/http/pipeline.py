"""Handle a request: authentication, permission, rate limits, planned faults, handler, headers."""

from __future__ import annotations

import hashlib
import importlib
import json
import logging
import pkgutil
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote

from aiohttp import web

from sandbox.errors import ApiError, not_found
from sandbox.faults.rules import ResponseRule
from sandbox.http import rest, smart_http
from sandbox.http.auth import authenticate, bad_credentials, check_permission
from sandbox.http.rate_limits import secondary_limit_error
from sandbox.http.routes import Call, Reply, Route, routes
from sandbox.hub import Hub
from sandbox.idle import current_work
from sandbox.state.credentials import ANONYMOUS, Credential
from sandbox.state.models import Repository
from sandbox.state.requests import RequestRecord

log = logging.getLogger(__name__)
MAX_BODY_BYTES = 100 * 1024 * 1024  # bytes: a push can be large
UNCOUNTED_OPERATIONS = frozenset({"rate-limit/get"})
API_VERSIONS = ("2022-11-28", "2026-03-10")

for _module in pkgutil.iter_modules(rest.__path__):
    importlib.import_module(f"sandbox.http.rest.{_module.name}")


class Server:
    """The HTTP server on 127.0.0.1, on the given port or a free one."""

    def __init__(self, hub: Hub, port: int) -> None:
        self._hub = hub
        self._port = port
        self._runner: web.AppRunner | None = None
        self._url: str | None = None

    @property
    def url(self) -> str:
        """The address. Raises RuntimeError before the server has started."""
        if self._url is None:
            raise RuntimeError("the sandbox has no address yet: use it inside `async with Sandbox(...)`")
        return self._url

    async def start(self) -> None:
        """Start to listen."""
        application = web.Application(client_max_size=MAX_BODY_BYTES)
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
        work = self._hub.begin_work(f"{request.method} {request.path}")
        current_work.set(work)
        try:
            if smart_http.is_git(request.path):
                return await smart_http.serve(self._hub, request)
            return await self._serve_api(request)
        finally:
            work.end()

    async def _serve_api(self, request: web.Request) -> web.StreamResponse:
        state = RequestState(self._hub, request)
        try:
            reply = await state.run(await request.read())
        except NeverAnswer as error:
            if error.seconds is not None:
                await self._hub.clock.sleep(error.seconds)
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=500)
        payload, content_type = encode_body(reply.body)
        headers = dict(reply.headers)
        if payload is not None:
            headers.setdefault("Content-Type", content_type)
        return web.Response(status=reply.status, body=payload, headers=headers)


def encode_body(body: Any) -> tuple[bytes | None, str]:
    """The bytes of a response's body and their content type."""
    if body is None:
        return None, ""
    if isinstance(body, bytes):
        return body, "application/octet-stream"
    if isinstance(body, str):
        return body.encode(), "text/plain; charset=utf-8"
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode(), "application/json; charset=utf-8"


class NeverAnswer(Exception):
    """A planned fault: the connection closes without a response, after so many seconds or at once."""

    def __init__(self, seconds: float | None) -> None:
        super().__init__()
        self.seconds = seconds


class RequestState:
    """One request and its response."""

    def __init__(self, hub: Hub, request: web.Request) -> None:
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
        """Answer, record and check against the contract. Raises NeverAnswer when a fault asks for no response."""
        self.path = self._expand_repository_id(self.path)
        route_match = routes.match(self.request.method, self.path)
        operation = route_match[0].operation if route_match else None
        record = RequestRecord(
            received_at=self.hub.now(),
            method=self.request.method,
            path=unquote(self.path),
            operation_id=operation or None,
            actor="anonymous",
            installation_id=None,
            query=self.query,
            body=None,
        )
        is_counted = route_match is None or bool(operation)
        if is_counted:
            self.hub.requests.append(record)
        try:
            reply = await self._dispatch(raw, route_match, record)
        except ApiError as error:
            reply = Reply(error.status, error.body, error.headers)
        except NeverAnswer:
            raise
        except Exception as error:
            log.exception("the sandbox failed at %s %s", record.method, record.path)
            self.hub.errors.append(error)
            reply = Reply(500, {"message": "Server Error"})
        record.status, record.response = reply.status, reply.body
        if is_counted and "X-RateLimit-Limit" not in self.headers:
            bucket = self.hub.usage_counter.bucket(self.credential.rate_limit_key, "core", self.hub.now())
            self.headers |= bucket.headers("core")
        reply.headers = {**self.headers, **reply.headers}
        if is_counted:
            self._check_answer(record, reply)
            self._add_etag(reply)
        return reply

    async def _dispatch(
        self, raw: bytes, route_match: tuple[Route, dict[str, str]] | None, record: RequestRecord
    ) -> Reply:
        body = _parse_json(raw)
        record.body = body
        if route_match is None or route_match[0].operation:
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
        if route_match is None:
            raise not_found()
        route, params = route_match
        fault = self._next_fault(route.operation) if route.operation else None
        if fault is not None:
            self._raise_fault(fault)
        if route.operation:
            self._count_usage(route, body)
        reply = await self._handle(route, params, body)
        if fault is not None and fault.kind == "500-done":
            raise ApiError(500, "Server Error")
        if fault is not None and fault.kind == "hang-done":
            raise NeverAnswer(fault.seconds)
        return reply

    async def _handle(self, route: Route, params: Mapping[str, str], body: Any) -> Reply:
        repository = self._find_repository(params)
        check_permission(self.credential, repository, route.permission, route.role)
        is_write = route.method not in ("GET", "HEAD")
        if is_write and repository is not None and repository.archived and route.operation:
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
            path_repository=repository,
            permission=route.permission,
        )
        return await route.handler(call)

    def _find_repository(self, params: Mapping[str, str]) -> Repository | None:
        if "owner" not in params or "repo" not in params:
            return None
        name = f"{params['owner']}/{params['repo']}"
        repository = self.hub.find_repository(name)
        if repository is None:
            renamed = self.hub.repositories.get(self.hub.former_names.get(name.lower(), 0))
            if renamed is not None and self.credential.can_see(renamed):
                raise self._moved_error(renamed)
            raise not_found()
        if not self.credential.can_see(repository) and self.credential.kind != "app":
            raise not_found()
        return repository

    def _moved_error(self, repository: Repository) -> ApiError:
        suffix, query = "/".join(self.path.split("/")[4:]), self.request.rel_url.raw_query_string
        location = f"{self.hub.url}/repositories/{repository.id}/{suffix}".rstrip("/") + f"?{query}" * bool(query)
        error = ApiError(301, "Moved Permanently", headers={"Location": location})
        error.body["url"] = location
        return error

    def _expand_repository_id(self, path: str) -> str:
        """`/repositories/{id}/…` is `/repos/{owner}/{repo}/…` by number."""
        parts = path.split("/")
        if len(parts) > 2 and parts[1] == "repositories" and parts[2].isdigit():
            repository = self.hub.repositories.get(int(parts[2]))
            if repository is not None:
                return "/".join(["", "repos", quote(repository.owner.login), quote(repository.name), *parts[3:]])
        return path

    def _next_fault(self, operation: str) -> ResponseRule | None:
        faults = self.hub.faults
        planned_fault = faults.take_response_fault(operation)
        if (
            planned_fault is None
            and faults.random_faults is not None
            and self.credential.kind in ("app", "installation")
        ):
            return faults.random_faults.next_response_fault(operation, unquote(self.path))
        return planned_fault

    def _raise_fault(self, fault: ResponseRule) -> None:
        wait_seconds = 60 if fault.seconds is None else int(fault.seconds)
        if fault.kind == "502-not-done":
            raise ApiError(502, "Server Error")
        if fault.kind == "hang-not-done":
            raise NeverAnswer(fault.seconds)
        if fault.kind == "401-expired":
            raise bad_credentials()
        if fault.kind == "403-secondary":
            raise secondary_limit_error(wait_seconds)
        if fault.kind == "429":
            raise secondary_limit_error(wait_seconds, status=429)
        if fault.kind == "410-disabled":
            raise ApiError(410, "This feature is disabled for this repository")
        if fault.kind == "301-moved":
            parts = self.path.split("/")
            repository = self.hub.find_repository("/".join(unquote(part) for part in parts[2:4]))
            if parts[1] != "repos" or repository is None:
                raise ValueError(f"{self.path} is not below a repository: it cannot have moved")
            raise self._moved_error(repository)

    def _count_usage(self, route: Route, body: Any) -> None:
        resource = (
            "search" if route.template.startswith("/search") else "graphql" if route.template == "/graphql" else "core"
        )
        sender, now, method = self.credential.rate_limit_key, self.hub.now(), route.method
        is_mutation = resource == "graphql" and isinstance(body, dict) and "mutation" in str(body.get("query"))
        if resource == "graphql" and not is_mutation:
            method = "GET"  # a query counts as a read
        if route.operation in UNCOUNTED_OPERATIONS:
            bucket = self.hub.usage_counter.bucket(sender, resource, now)
        else:
            bucket = self.hub.usage_counter.spend(sender, resource, method, now, content=route.content or is_mutation)
        self.headers |= bucket.headers(resource)

    def _add_etag(self, reply: Reply) -> None:
        """Add an ETag; answer 304, without counting it, when the client has that version."""
        if self.request.method != "GET" or reply.status != 200 or reply.body is None:
            return
        payload, _ = encode_body(reply.body)
        seed = (self.credential.token or self.credential.rate_limit_key).encode() + b"\0" + (payload or b"")
        etag = f'W/"{hashlib.sha256(seed).hexdigest()}"'
        reply.headers["ETag"] = etag
        reply.headers["Cache-Control"] = "private, max-age=60, s-maxage=60"
        known_etags = [value.strip() for value in self.request.headers.get("If-None-Match", "").split(",")]
        if etag in known_etags:
            reply.status, reply.body = 304, None
            bucket = self.hub.usage_counter.bucket(
                self.credential.rate_limit_key, reply.headers.get("X-RateLimit-Resource", "core"), self.hub.now()
            )
            if self.credential.kind != "anonymous" and bucket.used:
                bucket.used -= 1
                reply.headers |= bucket.headers(reply.headers.get("X-RateLimit-Resource", "core"))

    def _check_request(self, record: RequestRecord) -> None:
        if self.hub.contract is not None:
            self.hub.violations += self.hub.contract.check_request(record.method, self.path, self.query, record.body)

    def _check_answer(self, record: RequestRecord, reply: Reply) -> None:
        if self.hub.contract is not None:
            self.hub.violations += self.hub.contract.check_response(record.method, self.path, reply.status, reply.body)


def _parse_json(raw: bytes) -> Any:
    if not raw.strip():
        return None
    try:
        return json.loads(raw)
    except (ValueError, UnicodeDecodeError) as error:
        raise ApiError(400, "Problems parsing JSON") from error
