"""What all types of the sandbox's GraphQL are made of: lists asked for page by page, and ways to find a field."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sandbox.graphql.parser import GraphQLError

if TYPE_CHECKING:
    from sandbox.graphql.execution import Execution

Arguments = Mapping[str, Any]
Resolver = Callable[["Execution", Any, Arguments], Any]


@dataclass(frozen=True, slots=True)
class Connection:
    """A list that is asked for page by page."""

    name: str
    items: Sequence[Any]
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Plain:
    """An object that is only values."""

    kind: str
    values: Mapping[str, Any]


def connected(name: str, items: Sequence[Any], arguments: Arguments) -> Connection:
    """The part of a list that the arguments ask for. Raises GraphQLError without `first` or `last`, or above 100."""
    first, last = arguments.get("first"), arguments.get("last")
    size = first if first is not None else last
    if not isinstance(size, int) or (first is not None and last is not None):
        raise GraphQLError(f"You must provide a `first` or `last` value to properly paginate the `{name}`.")
    if not 1 <= size <= 100:
        raise GraphQLError(f"Requesting {size} records on the `{name}` exceeds the `first` limit of 100 records.")
    if first is None:
        stop = _place(arguments["before"]) if arguments.get("before") else len(items)
        return Connection(name, items, max(0, stop - size), stop)
    start = _place(arguments["after"]) + 1 if arguments.get("after") else 0
    return Connection(name, items, start, start + size)


def _cursor(place: int) -> str:
    return base64.b64encode(f"cursor:{place}".encode()).decode()


def _place(cursor: str) -> int:
    try:
        return int(base64.b64decode(cursor, validate=True).decode().removeprefix("cursor:"))
    except ValueError as error:
        raise GraphQLError(f"`{cursor}` does not appear to be a valid cursor.") from error


def page_info(_: Execution, value: Connection, __: Arguments) -> Plain:
    """Whether there is more, and where it begins."""
    more, size = value.stop < len(value.items), min(value.stop, len(value.items))
    values = {
        "hasNextPage": more,
        "hasPreviousPage": value.start > 0,
        "startCursor": _cursor(value.start) if size > value.start else None,
        "endCursor": _cursor(size - 1) if size > value.start else None,
    }
    return Plain("PageInfo", values)


def attribute(name: str) -> Resolver:
    """A field that is an attribute."""
    return lambda _, value, __: getattr(value, name)


def listed(name: str, get: Callable[[Any], Sequence[Any]]) -> Resolver:
    """A field that is a list."""
    return lambda _, value, arguments: connected(name, get(value), arguments)
