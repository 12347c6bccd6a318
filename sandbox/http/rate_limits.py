"""GitHub's rate limits by the sandbox's clock: requests an hour, points a minute, content a minute and an hour."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime

from sandbox.errors import ApiError

WRITES = ("POST", "PATCH", "PUT", "DELETE")


@dataclass(slots=True)
class RateLimitSettings:
    """The limits, which a test can change. Source: GitHub's documentation of rate limits."""

    requests_per_hour: int = 5_000
    anonymous_per_hour: int = 60
    search_per_minute: int = 30
    points_per_minute: int = 900
    content_per_minute: int = 80
    content_per_hour: int = 500
    read_points: int = 1
    write_points: int = 5
    secondary_wait: int = 60  # seconds in the Retry-After of a secondary limit


@dataclass(slots=True)
class Bucket:
    """One sender's use of one resource in the current window."""

    limit: int
    window: int  # seconds
    reset: int = 0  # seconds since 1970
    used: int = 0

    def roll_over(self, now: datetime) -> None:
        """Start a new window when the old one is over."""
        if now.timestamp() >= self.reset:
            self.reset, self.used = int(now.timestamp()) + self.window, 0

    @property
    def remaining(self) -> int:
        """Requests left in this window."""
        return max(0, self.limit - self.used)

    def headers(self, resource: str) -> dict[str, str]:
        """The `X-RateLimit-…` headers."""
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(self.reset),
            "X-RateLimit-Used": str(self.used),
            "X-RateLimit-Resource": resource,
        }

    def as_json(self) -> dict[str, int]:
        """As `GET /rate_limit` gives it."""
        return {"limit": self.limit, "used": self.used, "remaining": self.remaining, "reset": self.reset}


@dataclass(slots=True)
class _Usage:
    buckets: dict[str, Bucket] = field(default_factory=dict)
    points: deque[tuple[float, int]] = field(default_factory=deque)
    content: deque[float] = field(default_factory=deque)


class UsageCounter:
    """Counts the requests of every sender and refuses those above the limits."""

    def __init__(self, limits: RateLimitSettings) -> None:
        self.limits = limits
        self._usage: dict[str, _Usage] = {}

    def bucket(self, sender: str, resource: str, now: datetime) -> Bucket:
        """The window of a sender for `core`, `search` or `graphql`."""
        usage = self._usage.setdefault(sender, _Usage())
        hourly_limit = self.limits.anonymous_per_hour if sender == "anonymous" else self.limits.requests_per_hour
        limit, window = (self.limits.search_per_minute, 60) if resource == "search" else (hourly_limit, 3600)
        bucket = usage.buckets.setdefault(resource, Bucket(limit, window))
        bucket.limit = limit
        bucket.roll_over(now)
        return bucket

    def spend(self, sender: str, resource: str, method: str, now: datetime, *, content: bool) -> Bucket:
        """Count one request. Raises ApiError: 403 with remaining 0 (primary) or with Retry-After
        (secondary).
        """
        bucket = self.bucket(sender, resource, now)
        if bucket.remaining == 0:
            raise ApiError(
                403,
                f"API rate limit exceeded for {sender}.",
                headers=bucket.headers(resource),
                documentation_url="https://docs.github.com/rest/overview/rate-limits-for-the-rest-api",
            )
        usage, timestamp = self._usage[sender], now.timestamp()
        points = self.limits.write_points if method in WRITES else self.limits.read_points
        while usage.points and usage.points[0][0] <= timestamp - 60:
            usage.points.popleft()
        while usage.content and usage.content[0] <= timestamp - 3600:
            usage.content.popleft()
        exceeds_points = sum(cost for _, cost in usage.points) + points > self.limits.points_per_minute
        last_minute = sum(1 for moment in usage.content if moment > timestamp - 60)
        exceeds_content = content and (
            last_minute >= self.limits.content_per_minute or len(usage.content) >= self.limits.content_per_hour
        )
        bucket.used += 1
        if exceeds_points or exceeds_content:
            raise secondary_limit_error(self.limits.secondary_wait, headers=bucket.headers(resource))
        usage.points.append((timestamp, points))
        if content:
            usage.content.append(timestamp)
        return bucket


def secondary_limit_error(wait: int, *, status: int = 403, headers: dict[str, str] | None = None) -> ApiError:
    """The error of a secondary limit, with the seconds to wait."""
    return ApiError(
        status,
        "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
        headers={**(headers or {}), "Retry-After": str(wait)},
        documentation_url="https://docs.github.com/rest/overview/rate-limits-for-the-rest-api"
        "#about-secondary-rate-limits",
    )
