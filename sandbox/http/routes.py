"""The route table, and the request and response of a handler."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import quote, unquote, urlencode

from sandbox.errors import ApiError, invalid_request, not_accessible, not_found
from sandbox.hub import Hub
from sandbox.state.credentials import Credential
from sandbox.state.models import App, Installation, Issue, PullRequest, Repository, Role, User

T = TypeVar("T")
MAX_PAGE = 100


@dataclass(slots=True)
class Reply:
    """A response: a dict or list becomes JSON, text stays text/plain, bytes stay bytes, None is no body."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Call:
    """A request that has passed authentication and permission. `params` are those of the path, decoded."""

    hub: Hub
    method: str
    path: str
    params: Mapping[str, str]
    query: Mapping[str, str]
    body: Any
    credential: Credential
    headers: Mapping[str, str] = field(default_factory=dict)
    path_repository: Repository | None = None
    permission: str | None = None

    @property
    def repository(self) -> Repository:
        """The repository of the path. Raises ApiError 404 when the path names none."""
        if self.path_repository is None:
            raise not_found()
        return self.path_repository

    @property
    def actor(self) -> User:
        """The acting user. Raises ApiError 401 without authentication."""
        if self.credential.user is None:
            raise ApiError(401, "Requires authentication")
        return self.credential.user

    @property
    def via_app(self) -> App | None:
        """The acting App, for `performed_via_github_app`."""
        return self.credential.app if self.credential.kind == "installation" else None

    @property
    def installation(self) -> Installation:
        """The installation whose token was used. Raises ApiError 403 for other callers."""
        if self.credential.installation is None:
            raise ApiError(403, "You must authenticate with an installation access token")
        return self.credential.installation

    def number(self, name: str) -> int:
        """A numeric parameter of the path. Raises ApiError 404 when it is not one."""
        value = self.params[name]
        if not value.isascii() or not value.isdigit() or len(value) > 18:
            raise not_found()
        return int(value)

    def issue(self, name: str = "issue_number") -> Issue:
        """The issue (or pull request) that the path names. Raises ApiError 404."""
        issue = self.repository.issues.get(self.number(name))
        if issue is None:
            raise not_found()
        # Where `issues` or `pull_requests` suffices, an issue that is not a pull request needs `issues`.
        is_limited = self.credential.kind in ("installation", "run")
        is_limited = is_limited and self.credential.has_access(self.repository)
        if is_limited and issue.pull is None and "|" in (self.permission or ""):
            issues_permission = next(
                alternative for alternative in (self.permission or "").split("|") if alternative.startswith("issues:")
            )
            if not self.credential.has_permission(issues_permission):
                raise not_accessible()
        return issue

    def pull(self, name: str = "pull_number") -> PullRequest:
        """The pull request that the path names. Raises ApiError 404."""
        pull = self.issue(name).pull
        if pull is None:
            raise not_found()
        return pull

    def field(self, name: str, kind: type[T], *, required: bool = False, default: T | None = None) -> T | None:
        """A key of the body, of that type; `default` when absent or null. Raises ApiError 422."""
        body = self.body if isinstance(self.body, dict) else {}
        value = body.get(name)
        if value is None:
            if required:
                raise invalid_request(f'"{name}" wasn\'t supplied.')
            return default
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise invalid_request(f"For 'properties/{name}', {value!r} is not a {_json_name(kind)}.")
        return value

    def text(self, name: str) -> str | None:
        """A text of the body. Raises ApiError 422."""
        return self.field(name, str)

    def required(self, name: str, kind: type[T]) -> T:
        """A key that the body must have, of that type. Raises ApiError 422."""
        value = self.field(name, kind, required=True)
        assert value is not None  # noqa: S101 - `required` has raised otherwise
        return value

    def has_field(self, name: str) -> bool:
        """Whether the body has that key, null or not."""
        return isinstance(self.body, dict) and name in self.body

    def paginate(
        self,
        items: Sequence[T],
        render: Callable[[T], Any],
        *,
        key: str | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> Reply:
        """One page of a list by `per_page` (≤ 100, default 30) and `page`, with its `Link` header.

        With a `key` the body is an object with the list and `total_count`, as for check runs and workflow runs.
        """
        size = min(max(self._query_int("per_page", 30), 1), MAX_PAGE)
        page = max(self._query_int("page", 1), 1)
        last = max(1, -(-len(items) // size))
        rendered = [render(item) for item in items[(page - 1) * size : page * size]]
        links = []
        if page < last:
            links += [self._link(page + 1, "next"), self._link(last, "last")]
        if page > 1:
            links += [self._link(1, "first"), self._link(page - 1, "prev")]
        headers = {"Link": ", ".join(links)} if links else {}
        if key is None:
            return Reply(200, rendered, headers)
        return Reply(200, {"total_count": len(items), **(extra or {}), key: rendered}, headers)

    def _query_int(self, name: str, default: int) -> int:
        value = self.query.get(name, "")
        return int(value) if value.isascii() and value.isdigit() and len(value) < 10 else default

    def _link(self, page: int, rel: str) -> str:
        query = urlencode({**self.query, "page": str(page)})
        return f'<{self.hub.url}{quote(self.path)}?{query}>; rel="{rel}"'


def _json_name(kind: type) -> str:
    return {str: "string", int: "integer", list: "array", dict: "object", bool: "boolean"}.get(kind, kind.__name__)


Handler = Callable[[Call], Awaitable[Reply]]
_PARAMETER = re.compile(r"\{(\w+)(:\.\+)?\}")


@dataclass(frozen=True, slots=True)
class Route:
    """One operation: its path, GitHub's name for it, what an App's token needs, and a person's role."""

    method: str
    template: str
    operation: str
    permission: str | None
    role: Role | None
    content: bool
    handler: Handler
    pattern: re.Pattern[str]
    rank: tuple[int, ...]


class RouteTable:
    """All routes. A literal segment wins over a parameter, and that over one that takes the rest of the path."""

    def __init__(self) -> None:
        self._routes: dict[str, list[Route]] = {}
        self.operations: dict[str, Route] = {}

    def route(
        self,
        method: str,
        template: str,
        operation: str,
        *,
        permission: str | None = None,
        role: Role | None = None,
        content: bool = False,
    ) -> Callable[[Handler], Handler]:
        """Register a handler.

        `{name}` takes one segment, `{name:.+}` the rest. `permission` is `name:level` (alternatives separated by
        `|`), `jwt` (the App itself), `user` (a person's token), `installation`, or None (no authentication). `role` is
        what a person needs when it differs from the level. `content` marks operations that count for the limit on
        content creation. An empty `operation` is a page of the sandbox that GitHub does not describe: neither counted
        nor checked.
        """

        def register(handler: Handler) -> Handler:
            expression, last = "", 0
            for match in _PARAMETER.finditer(template):
                expression += re.escape(template[last : match.start()])
                expression += f"(?P<{match[1]}>{'.+' if match[2] else '[^/]+'})"
                last = match.end()
            pattern = re.compile(expression + re.escape(template[last:]))
            # The 3 at the end puts `{ref:.+}/status` before `{ref:.+}`.
            parts = template.strip("/").split("/")
            rank = (*(2 if ":.+}" in part else 1 if "{" in part else 0 for part in parts), 3)
            entry = Route(method, template, operation, permission, role, content, handler, pattern, rank)
            method_routes = self._routes.setdefault(method, [])
            method_routes.append(entry)
            method_routes.sort(key=lambda route: route.rank)
            if operation:
                self.operations[operation] = entry
            return handler

        return register

    def match(self, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
        """The route of a request with the decoded parameters of its (still encoded) path, or None."""
        for route in self._routes.get(method, ()):
            match = route.pattern.fullmatch(path)
            if match is not None:
                return route, {name: unquote(value) for name, value in match.groupdict().items()}
        return None


routes = RouteTable()
route = routes.route
