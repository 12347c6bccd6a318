"""Give a list page by page, as GitHub's connections do."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sandbox.graphql.context import FieldError, Info, Resolver


@dataclass(frozen=True, slots=True)
class PageInfo:
    """Whether a page has neighbours, and the cursors of its ends."""

    has_next_page: bool
    has_previous_page: bool
    start_cursor: str | None
    end_cursor: str | None


@dataclass(frozen=True, slots=True)
class Connection:
    """A page of a list."""

    items: Sequence[Any]
    start: int
    stop: int

    @property
    def total_count(self) -> int:
        """How many items all pages have."""
        return len(self.items)

    @property
    def nodes(self) -> Sequence[Any]:
        """The items of this page."""
        return self.items[self.start : self.stop]

    @property
    def page_info(self) -> PageInfo:
        """Where this page is in the list."""
        stop = min(self.stop, len(self.items))
        is_empty = stop <= self.start
        return PageInfo(
            has_next_page=self.stop < len(self.items),
            has_previous_page=self.start > 0,
            start_cursor=None if is_empty else _cursor(self.start),
            end_cursor=None if is_empty else _cursor(stop - 1),
        )


def paginate(
    items: Sequence[Any],
    *,
    first: int | None = None,
    after: str | None = None,
    last: int | None = None,
    before: str | None = None,
) -> Connection:
    """Give the page that the arguments name; `cost` has checked `first` and `last`."""
    if first is None:
        stop = _position(before) if before else len(items)
        return Connection(items, max(0, stop - (last or 0)), stop)
    start = _position(after) + 1 if after else 0
    return Connection(items, start, start + first)


def connection_of(get_items: Callable[[Any], Sequence[Any]]) -> Resolver:
    """Make the resolver of a connection that has no arguments but those of its page."""

    def resolve(value: Any, _: Info, **page: Any) -> Connection:
        return paginate(get_items(value), **page)

    return resolve


def _cursor(position: int) -> str:
    return base64.b64encode(f"cursor:{position}".encode()).decode()


def _position(cursor: str) -> int:
    try:
        return int(base64.b64decode(cursor, validate=True).decode().removeprefix("cursor:"))
    except ValueError as error:
        message = f"`{cursor}` does not appear to be a valid cursor."
        raise FieldError("INVALID_CURSOR_ARGUMENTS", message) from error
