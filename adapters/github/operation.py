"""Declares every call to GitHub once, with its permission and the keys it may send.

Other code reads `OPERATIONS`: a test compares it with GitHub's description, another the union of its permissions with
the App's manifest, and metrics count calls by `Operation.id`. A call cannot send a key that is not declared, so what
those tests prove about the declarations holds for the requests too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import quote

Access = Literal["read", "write"]
AppPermission = tuple[str, Access]
Value = str | int

_PLACEHOLDER: Final = re.compile(r"\{(\w+)\}")
_REPOSITORY: Final = re.compile(r"[A-Za-z0-9_.-]{1,100}/[A-Za-z0-9_.-]{1,100}")


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of GitHub's REST API.

    `id` is GitHub's operationId; `permission` the App permission it needs, None for what is asked with the
    App's own JWT or needs none; `query` and `body` the keys we may send; `items` the key under which a list
    answer that is an object (`{"total_count": …, "jobs": […]}`) holds its items; `slashes` the path
    parameters whose slashes separate segments of the URL (file paths, full ref names) instead of being
    quoted; `content` that it makes or changes something people read, of which GitHub counts more closely: edits
    are counted as well, because its documentation does not say that they are not.
    """

    id: str
    method: str
    path: str
    permission: AppPermission | None
    query: frozenset[str] = frozenset()
    body: frozenset[str] = frozenset()
    items: str | None = None
    slashes: frozenset[str] = frozenset()
    harmless: bool = False
    content: bool = False

    @property
    def is_write(self) -> bool:
        """Whether the call may change something, so that an unclear answer must be looked into."""
        return self.method != "GET" and not self.harmless

    def url_path(self, values: Mapping[str, Value]) -> str:
        """Fill the path with quoted values.

        A value that would change the shape of the URL (empty, `.` or `..` as a segment) raises ValueError:
        quoting cannot help there, because URL libraries and proxies resolve dots.
        """
        return _PLACEHOLDER.sub(lambda match: self._quoted(match[1], values[match[1]]), self.path)

    def check_keys(self, query: Mapping[str, object], body: object) -> None:
        """Raise ValueError when a key is about to be sent that the declaration does not name."""
        unknown = set(query) - self.query
        if isinstance(body, Mapping):
            unknown |= set(body) - self.body
        if unknown:
            raise ValueError(f"{self.id} does not declare {', '.join(sorted(unknown))}")

    def _quoted(self, name: str, value: Value) -> str:
        text = str(value)
        segments = text.split("/") if name in self.slashes else [text]
        if any(segment in {"", ".", ".."} for segment in segments):
            raise ValueError(f"{self.id}: {text[:100]!r} cannot be used as {name}")
        try:
            return "/".join(quote(segment, safe="") for segment in segments)
        except UnicodeEncodeError as error:
            raise ValueError(f"{self.id}: {name} is not valid Unicode") from error


OPERATIONS: Final[dict[str, Operation]] = {}
"""Every declared operation by its operationId; complete once `adapters.github` is imported."""


def operation(
    operation_id: str,
    method: str,
    path: str,
    *,
    permission: AppPermission | None,
    query: str = "",
    body: str = "",
    items: str | None = None,
    slashes: str = "",
    harmless: bool = False,
    content: bool = False,
) -> Operation:
    """Declare an operation and enter it in `OPERATIONS`; `query`, `body` and `slashes` are names split by
    blanks.
    """
    new_operation = Operation(
        operation_id,
        method,
        path,
        permission,
        frozenset(query.split()),
        frozenset(body.split()),
        items,
        frozenset(slashes.split()),
        harmless,
        content,
    )
    if operation_id in OPERATIONS:
        raise ValueError(f"{operation_id} is declared twice")
    OPERATIONS[operation_id] = new_operation
    return new_operation


def repository_parts(repo: str) -> dict[str, Value]:
    """Split `owner/name` into the path parameters `owner` and `repo`; ValueError for anything else."""
    if not _REPOSITORY.fullmatch(repo):
        raise ValueError(f"{repo[:200]!r} is not the name of a repository (owner/name)")
    owner, name = repo.split("/")
    return {"owner": owner, "repo": name}
