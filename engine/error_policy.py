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
from sqlalchemy.exc import TimeoutError as NoConnection

from adapters.agents import Unavailable
from adapters.alerts import Refused
from adapters.github import errors as gh
from adapters.github.rate_limit import RateLimitWait
from core.circuit_breaker import CircuitOpen

MAX_TRIES: Final = 15  # with the pauses below, about an hour
FEW_TRIES: Final = 4
LONGEST_PAUSE: Final = timedelta(minutes=10)
STUCK_PAUSE: Final = timedelta(minutes=15)
"""For a wait, which cannot be given up, when its handling is hopeless: as often as GitHub is compared."""


@dataclass(frozen=True, slots=True)
class ErrorPolicy:
    """What becomes of some kinds of errors. `tries` after which it is given up, 0: never; `counts` a try at all."""

    errors: tuple[type[Exception], ...]
    because: str
    tries: int
    counts: bool = True
    ours: bool = False  # a mistake of ours: the log shows where

    @property
    def is_transient(self) -> bool:
        """Whether it is likely to pass by itself."""
        return self.tries == 0 or self.tries == MAX_TRIES

    @property
    def next_action(self) -> str:
        """In words."""
        if not self.counts:
            return "waits as long as GitHub asks" if gh.RateLimited in self.errors else "retried without limit"
        if self.tries == 1:
            return "dead letter at once"
        return f"retried, dead letter after {self.tries} tries"


# The first that fits counts.
FATES: Final = (
    ErrorPolicy((gh.RateLimited,), "GitHub or the bot's own rate limiter asks to wait", tries=0, counts=False),
    ErrorPolicy(
        (OperationalError, InterfaceError, DisconnectionError, NoConnection),
        "the database is not reachable or has no free connection",
        tries=0,
        counts=False,
    ),
    ErrorPolicy(
        (gh.NotFound,), "the object does not exist, or not yet: webhooks can overtake the API", tries=FEW_TRIES
    ),
    ErrorPolicy(
        (gh.Forbidden, gh.Gone, gh.Invalid, gh.TooLarge, Refused),
        "GitHub would refuse the same request again: a person must look",
        tries=1,
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
        tries=MAX_TRIES,
    ),
    ErrorPolicy(
        (CircuitOpen, Unavailable, ClientError, OSError),
        "a service does not answer, or its circuit breaker is open",
        tries=MAX_TRIES,
    ),
    ErrorPolicy((Exception,), "an error in the bot: long retries would only hide it", tries=FEW_TRIES, ours=True),
)


def policy_for(error: Exception) -> ErrorPolicy:
    """The row of the table for this error."""
    return next(fate for fate in FATES if isinstance(error, fate.errors))


def next_retry_at(error: Exception, tries: int, now: datetime, jitter: float) -> datetime | None:
    """When to try again after so many tries (this one among them); None: it is given up.

    When GitHub or a circuit breaker says so, else after 1 s, 2 s, 4 s … up to ten minutes, a little apart (`jitter`
    0…1). Our own line keeps those who wait apart by itself.
    """
    fate = policy_for(error)
    if fate.tries and tries >= fate.tries:
        return None
    if isinstance(error, gh.RateLimited | CircuitOpen):
        told: datetime = error.retry_at
        return told if isinstance(error, RateLimitWait) else told + timedelta(seconds=5 * jitter)
    seconds = min(2.0 ** min(tries - 1, 20), LONGEST_PAUSE.total_seconds())
    return now + timedelta(seconds=seconds * (0.75 + 0.5 * jitter))


def next_poll_at(error: Exception, now: datetime) -> datetime:
    """When a wait is handled again: it is never given up, but what is hopeless is not tried every half minute."""
    later = next_retry_at(error, 1, now, 0.5)
    return now + STUCK_PAUSE if later is None else max(later, now + timedelta(seconds=30))
