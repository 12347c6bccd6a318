"""Defines the errors of calls to GitHub, grouped by what to do about them.

`classify` is pure: a response and the time go in, the error to raise comes out. The table of statuses is GitHub's
documentation of its REST API ("troubleshooting" and "rate limits"), with its exceptions: 429 and secondary limits look
like plain refusals, and 520 is no status that Python's `http` knows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

SECONDARY_LIMIT_WAIT: Final = timedelta(seconds=60)
"""GitHub: without a header, wait at least a minute after a secondary limit."""

MAX_WAIT: Final = timedelta(hours=2)
"""The longest window GitHub has is an hour; a later time comes from a broken clock and must not park us for
ever.
"""

_MESSAGE_LENGTH: Final = 500
_READ_METHODS: Final = frozenset({"GET", "HEAD"})
_SECONDARY: Final = re.compile(r"secondary rate limit|abuse detection", re.IGNORECASE)
_PRIMARY: Final = re.compile(r"api rate limit exceeded", re.IGNORECASE)


class GitHubError(Exception):
    """Any failure of a call to GitHub.

    `status` is the HTTP status, 0 when there was no answer; `operation` is GitHub's operationId, filled in by
    the transport; `request_id` is what GitHub's support asks for. No token ever stands in any of them.
    """

    def __init__(self, message: str, *, status: int = 0, operation: str = "", request_id: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.operation = operation
        self.request_id = request_id

    def __str__(self) -> str:
        prefix = " ".join(part for part in (self.operation, str(self.status or "")) if part)
        return f"{prefix}: {self.message}" if prefix else self.message


class Transient(GitHubError):
    """Nothing was changed and the next try may well succeed: 5xx on a read, a reset or refused connection."""


class UnknownOutcome(GitHubError):
    """A write with an unknown result (timeout, 5xx, broken connection): check it before repeating it."""


class RateLimited(GitHubError):
    """GitHub asks us to wait; `retry_at` is an aware UTC datetime, `secondary` tells which kind of limit it
    was.
    """

    def __init__(self, message: str, *, retry_at: datetime, secondary: bool, status: int, request_id: str) -> None:
        super().__init__(message, status=status, request_id=request_id)
        self.retry_at = retry_at
        self.secondary = secondary


class Unauthorised(GitHubError):
    """The credential is not (or no longer) accepted."""


class Forbidden(GitHubError):
    """The App may not do this: a permission is missing or the repository forbids it. A person must act."""


class NotFound(GitHubError):
    """It does not exist, we may not see it, or an event overtook the API: then read once more later."""


class Gone(GitHubError):
    """It existed and was deleted, or the feature is switched off in this repository."""


class Conflict(GitHubError):
    """The state of the object forbids it (409, and 405 "not mergeable"): read it again and decide again."""


class Invalid(GitHubError):
    """GitHub understood and refused the content (400, 422, other 4xx): repeating the same request cannot
    help.

    `errors` holds GitHub's own list, each as one line of text.
    """

    def __init__(self, message: str, *, errors: tuple[str, ...] = (), status: int = 0, request_id: str = "") -> None:
        super().__init__(message, status=status, request_id=request_id)
        self.errors = errors


class TooLarge(GitHubError):
    """What we sent, or what we were about to read, is over a size limit."""


class UnexpectedResponse(GitHubError):
    """A successful answer that does not look like GitHub's description of it."""


class GraphQLError(GitHubError):
    """A GraphQL answer with `errors`; `data` keeps what GitHub answered all the same (it may be partial)."""

    def __init__(self, errors: tuple[str, ...], data: object, *, status: int = 200, request_id: str = "") -> None:
        super().__init__("; ".join(errors) or "GraphQL error", status=status, request_id=request_id)
        self.errors = errors
        self.data = data


def classify(status: int, headers: Mapping[str, str], body: bytes, method: str, now: datetime) -> GitHubError:
    """Return the error for an answer that is not a success.

    `headers` may have keys of any case, `now` is aware. Nothing in the answer makes this raise: a body that
    is no JSON, senseless numbers in headers and unknown statuses all lead to an error of the most careful
    class.
    """
    lower_headers = {key.lower(): value for key, value in headers.items()}
    request_id = lower_headers.get("x-github-request-id", "")[:100]
    message, errors = _error_message(status, body)
    if status in {403, 429}:
        rate_limit_error = _rate_limit(status, lower_headers, message, now, request_id)
        if rate_limit_error is not None:
            return rate_limit_error
    if status == 422 or status == 400:
        return Invalid(message, errors=errors, status=status, request_id=request_id)
    if status >= 500 or status == 408:
        is_read = method.upper() in _READ_METHODS
        return (Transient if is_read else UnknownOutcome)(message, status=status, request_id=request_id)
    error_types: dict[int, type[GitHubError]] = {
        401: Unauthorised,
        402: Forbidden,
        403: Forbidden,
        404: NotFound,
        405: Conflict,
        409: Conflict,
        410: Gone,
        413: TooLarge,
        451: Forbidden,
    }
    if status in error_types:
        return error_types[status](message, status=status, request_id=request_id)
    if 400 <= status < 500:
        return Invalid(message, errors=errors, status=status, request_id=request_id)
    # A redirect we do not follow, or a status no server should send: a read changed nothing, a write may
    # have.
    error_type = UnexpectedResponse if method.upper() in _READ_METHODS else UnknownOutcome
    return error_type(message, status=status, request_id=request_id)


# GitHub's types of GraphQL errors, where they say what REST says by a status.
_GRAPHQL: Final[dict[str, type[GitHubError]]] = {
    "NOT_FOUND": NotFound,
    "FORBIDDEN": Forbidden,
    "INSUFFICIENT_SCOPES": Forbidden,
    "UNPROCESSABLE": Invalid,
}


def classify_graphql(errors: Sequence[Mapping[str, object]], data: object) -> GitHubError:
    """Return the error for a GraphQL answer with `errors`.

    Where nothing at all was answered and all errors are of one known type, it is the error that REST would give. Else
    it is a GraphQLError, which keeps the partial data: what was asked may have been answered, or done, in part.
    """
    texts = tuple(str(error.get("message", "unknown error"))[:_MESSAGE_LENGTH] for error in errors[:20])
    error_types = {str(error.get("type")) for error in errors}
    has_data = isinstance(data, Mapping) and any(value is not None for value in data.values())
    error_type = _GRAPHQL.get(error_types.pop()) if len(error_types) == 1 and not has_data else None
    return error_type("; ".join(texts), status=200) if error_type else GraphQLError(texts, data)


def _rate_limit(
    status: int, lower_headers: Mapping[str, str], message: str, now: datetime, request_id: str
) -> RateLimited | None:
    retry_at = _retry_after(lower_headers.get("retry-after"), now)
    if retry_at is not None:
        return _rate_limited(message, retry_at, True, status, request_id, now)
    if _SECONDARY.search(message):
        return _rate_limited(message, now + SECONDARY_LIMIT_WAIT, True, status, request_id, now)
    if lower_headers.get("x-ratelimit-remaining", "").strip() == "0" or _PRIMARY.search(message):
        reset_at = _from_epoch(lower_headers.get("x-ratelimit-reset")) or now + SECONDARY_LIMIT_WAIT
        return _rate_limited(message, reset_at, False, status, request_id, now)
    if status == 429:
        return _rate_limited(message, now + SECONDARY_LIMIT_WAIT, True, status, request_id, now)
    return None


def _rate_limited(
    message: str, retry_at: datetime, secondary: bool, status: int, request_id: str, now: datetime
) -> RateLimited:
    # At least a second: a reset that has just passed must not turn into a busy loop.
    retry_at = min(max(retry_at, now + timedelta(seconds=1)), now + MAX_WAIT)
    return RateLimited(message, retry_at=retry_at, secondary=secondary, status=status, request_id=request_id)


def _retry_after(value: str | None, now: datetime) -> datetime | None:
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return now + timedelta(seconds=min(int(text[:9]), 10**6))
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return now + SECONDARY_LIMIT_WAIT
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def _from_epoch(value: str | None) -> datetime | None:
    try:
        return datetime.fromtimestamp(float(value or ""), UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _error_message(status: int, body: bytes) -> tuple[str, tuple[str, ...]]:
    try:
        data = json.loads(body) if body else None
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        text = body[:_MESSAGE_LENGTH].decode("utf-8", "replace").strip()
        return (text or f"HTTP status {status} without a message"), ()
    raw_errors = data.get("errors")
    items = raw_errors if isinstance(raw_errors, list) else [] if raw_errors is None else [raw_errors]
    errors = tuple(_error_line(item) for item in items[:20])
    message = str(data.get("message") or f"HTTP status {status}")[:_MESSAGE_LENGTH]
    return (f"{message}: {'; '.join(errors)}"[: 2 * _MESSAGE_LENGTH] if errors else message), errors


def _error_line(error: object) -> str:
    if not isinstance(error, dict):
        return str(error)[:_MESSAGE_LENGTH]
    if error.get("message"):
        return str(error["message"])[:_MESSAGE_LENGTH]
    parts = (error.get("resource"), error.get("field"), error.get("code"))
    return " ".join(str(part) for part in parts if part)[:_MESSAGE_LENGTH]
