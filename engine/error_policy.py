"""What becomes of what failed: one table for deliveries, deadlines, effects and the start.

What can be fixed on the spot was fixed below (`adapters.github.http`): a read that broke is repeated a few times,
a refused token is renewed and the call repeated once, a moved address is followed. Only what is left comes here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from aiohttp import ClientError
from sqlalchemy.exc import DisconnectionError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as ConnectionPoolTimeout

from adapters.agents import Unavailable
from adapters.alerts import DeliveryRejected
from adapters.github import errors as gh
from adapters.github.rate_limit import RateLimitWait
from core.circuit_breaker import CircuitOpen

MAX_ATTEMPTS: Final = 15  # with the pauses below, about an hour
FEW_ATTEMPTS: Final = 4
MAX_DELAY: Final = timedelta(minutes=10)
PERMANENT_ERROR_DELAY: Final = timedelta(minutes=15)
"""For a wait, which cannot be given up, when its handling is hopeless: as often as GitHub is compared."""


@dataclass(frozen=True, slots=True)
class ErrorPolicy:
    """What becomes of some kinds of errors. `tries` after which it is given up, 0: never; `counts` a try at all."""

    errors: tuple[type[Exception], ...]
    reason: str
    max_attempts: int
    counts_attempt: bool = True
    is_bug: bool = False  # a mistake of ours: the log shows where

    @property
    def is_transient(self) -> bool:
        """Whether it is likely to pass by itself."""
        return self.max_attempts == 0 or self.max_attempts == MAX_ATTEMPTS

    @property
    def next_action(self) -> str:
        """In words."""
        if not self.counts_attempt:
            return "waits as long as GitHub asks" if gh.RateLimited in self.errors else "retried without limit"
        if self.max_attempts == 1:
            return "dead letter at once"
        return f"retried, dead letter after {self.max_attempts} tries"


# The first that fits counts.
ERROR_POLICIES: Final = (
    ErrorPolicy(
        (gh.RateLimited,), "GitHub or the bot's own rate limiter asks to wait", max_attempts=0, counts_attempt=False
    ),
    ErrorPolicy(
        (OperationalError, InterfaceError, DisconnectionError, ConnectionPoolTimeout),
        "the database is not reachable or has no free connection",
        max_attempts=0,
        counts_attempt=False,
    ),
    ErrorPolicy(
        (gh.NotFound,),
        "the object does not exist, or not yet: webhooks can overtake the API",
        max_attempts=FEW_ATTEMPTS,
    ),
    ErrorPolicy(
        (gh.Forbidden, gh.Gone, gh.Invalid, gh.TooLarge, DeliveryRejected),
        "GitHub would refuse the same request again: a person must look",
        max_attempts=1,
    ),
    ErrorPolicy(
        (
            gh.Transient,
            gh.UnknownOutcome,
            gh.Unauthorised,
            gh.Conflict,
            gh.UnexpectedResponse,
            gh.GraphQLError,
            gh.GitHubError,
        ),
        "GitHub has an error that may be temporary",
        max_attempts=MAX_ATTEMPTS,
    ),
    ErrorPolicy(
        (CircuitOpen, Unavailable, ClientError, OSError),
        "a service does not answer, or its circuit breaker is open",
        max_attempts=MAX_ATTEMPTS,
    ),
    ErrorPolicy(
        (Exception,), "an error in the bot: long retries would only hide it", max_attempts=FEW_ATTEMPTS, is_bug=True
    ),
)


def policy_for(error: Exception) -> ErrorPolicy:
    """The row of the table for this error."""
    return next(policy for policy in ERROR_POLICIES if isinstance(error, policy.errors))


def next_retry_at(error: Exception, attempt: int, now: datetime, jitter: float) -> datetime | None:
    """When to try again after so many tries (this one among them); None: it is given up.

    When GitHub or a circuit breaker says so, else after 1 s, 2 s, 4 s … up to ten minutes, a little apart (`jitter`
    0…1). Our own line keeps those who wait apart by itself.
    """
    policy = policy_for(error)
    if policy.max_attempts and attempt >= policy.max_attempts:
        return None
    if isinstance(error, gh.RateLimited | CircuitOpen):
        retry_at: datetime = error.retry_at
        return retry_at if isinstance(error, RateLimitWait) else retry_at + timedelta(seconds=5 * jitter)
    seconds = min(2.0 ** min(attempt - 1, 20), MAX_DELAY.total_seconds())
    return now + timedelta(seconds=seconds * (0.75 + 0.5 * jitter))


def next_poll_at(error: Exception, now: datetime) -> datetime:
    """When a wait is handled again: it is never given up, but what is hopeless is not tried every half minute."""
    retry_at = next_retry_at(error, 1, now, 0.5)
    return now + PERMANENT_ERROR_DELAY if retry_at is None else max(retry_at, now + timedelta(seconds=30))
