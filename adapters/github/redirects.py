"""Follows redirects of renamed repositories and of files that are stored elsewhere."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from yarl import URL

from adapters.github.errors import UnexpectedResponse

_PERMANENT: Final = frozenset({301, 308})
_KEEP_METHOD: Final = frozenset({301, 307, 308})  # GitHub: to be repeated as it was, also a write
_REPOSITORY: Final = re.compile(r".*/repos/([^/]+/[^/]+)")


def redirect_target(method: str, url: URL, status: int, location: str | None, trusted: Collection[URL]) -> URL | None:
    """Where to go on, None to stay. A write goes on to `trusted` origins only; raises UnexpectedAnswer for others.

    What was asked is asked there too, should the new address leave it out: without its filter a list is another one.
    """
    redirect_statuses = _KEEP_METHOD if method != "GET" else _KEEP_METHOD | {302}
    if status not in redirect_statuses or not location:
        return None
    try:
        target = url.join(URL(location, encoded=True))
        origin = target.origin()
    except ValueError as error:
        raise UnexpectedResponse("a redirect to nowhere", status=status) from error
    if status in _KEEP_METHOD and origin in trusted and url.raw_query_string and not target.raw_query_string:
        target = URL(f"{target}?{url.raw_query_string}", encoded=True)
    if target.scheme not in {"http", "https"} or (url.scheme == "https" and target.scheme != "https"):
        raise UnexpectedResponse("a redirect to an unsafe address", status=status)
    if method != "GET" and origin not in trusted:
        raise UnexpectedResponse("a redirect of a write to another server", status=status)
    return target


def old_repository_name(url: URL, status: int) -> str | None:
    """The name (`owner/name`) by which a repository is no longer called, where an answer says so."""
    match = _REPOSITORY.match(url.path) if status in _PERMANENT else None
    return match[1] if match else None
