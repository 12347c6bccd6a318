"""What becomes of what failed: one table, and every error that there is has a row."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import ClientPayloadError
from sqlalchemy.exc import OperationalError

from adapters.agents import Unavailable
from adapters.alerts import DeliveryRejected
from adapters.github import errors
from adapters.github.rate_limit import RateLimitWait
from engine.error_policy import (
    ERROR_POLICIES,
    FEW_ATTEMPTS,
    MAX_ATTEMPTS,
    PERMANENT_ERROR_DELAY,
    next_poll_at,
    next_retry_at,
    policy_for,
)
from engine.senders.circuit_breaker import CircuitOpen

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
LATER = NOW + timedelta(minutes=20)
LIMITED = errors.RateLimited("slower", retry_at=LATER, secondary=True, status=403, request_id="")


def outcome(error: Exception) -> str | int:
    """After how many tries it is given up; `never`, and `waits` where a try does not even count."""
    fate = policy_for(error)
    if not fate.counts_attempt:
        return "waits"
    lasts = [tries for tries in range(1, 100) if next_retry_at(error, tries, NOW, 0.5) is None]
    return lasts[0] if lasts else "never"


@pytest.mark.parametrize(
    ("error", "becomes"),
    [
        (LIMITED, "waits"),
        (RateLimitWait(LATER), "waits"),
        (OperationalError("SELECT 1", {}, Exception("the server went away")), "waits"),
        (errors.NotFound("not yet"), FEW_ATTEMPTS),
        (errors.Forbidden("a permission is missing"), 1),
        (errors.Gone("deleted"), 1),
        (errors.Invalid("unprocessable"), 1),
        (errors.TooLarge("too large"), 1),
        (DeliveryRejected("a wrong password"), 1),
        (errors.Unauthorised("bad credentials, and again with a new token"), MAX_ATTEMPTS),
        (errors.Conflict("409"), MAX_ATTEMPTS),
        (errors.Transient("502"), MAX_ATTEMPTS),
        (errors.UnknownOutcome("timed out"), MAX_ATTEMPTS),
        (errors.UnexpectedResponse("no JSON"), MAX_ATTEMPTS),
        (errors.GraphQLError(("broken",), None), MAX_ATTEMPTS),
        (CircuitOpen("it does not answer", LATER), MAX_ATTEMPTS),
        (Unavailable("no credit"), MAX_ATTEMPTS),
        (ClientPayloadError("cut off"), MAX_ATTEMPTS),
        (ConnectionResetError(), MAX_ATTEMPTS),
        (KeyError("a mistake of ours"), FEW_ATTEMPTS),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_what_becomes_of_each(error: Exception, becomes: str | int) -> None:
    assert outcome(error) == becomes


def test_every_error_of_github_is_named_in_the_table() -> None:
    named = {kind for fate in ERROR_POLICIES for kind in fate.errors}
    kinds = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.GitHubError)}
    assert kinds <= named
    assert [fate.is_bug for fate in ERROR_POLICIES] == [False] * (len(ERROR_POLICIES) - 1) + [True]


def test_the_pauses_grow_and_an_hour_is_enough() -> None:
    error, pauses = errors.Transient("502"), []
    for tries in range(1, MAX_ATTEMPTS):
        again = next_retry_at(error, tries, NOW, 0.5)
        assert again is not None
        pauses.append(again - NOW)
    assert pauses[:3] == [timedelta(seconds=1), timedelta(seconds=2), timedelta(seconds=4)]
    assert pauses[-1] == timedelta(minutes=10)
    assert timedelta(minutes=55) < sum(pauses, timedelta()) < timedelta(hours=1)
    early, late = (next_retry_at(error, 5, NOW, jitter) for jitter in (0.0, 1.0))
    assert early
    assert late
    assert timedelta(seconds=12) == early - NOW < late - NOW == timedelta(seconds=20)


def test_who_says_when_to_come_back_is_believed() -> None:
    assert next_retry_at(LIMITED, 40, NOW, 0.0) == LATER
    assert next_retry_at(LIMITED, 40, NOW, 1.0) == LATER + timedelta(seconds=5), "not all at once"
    assert next_retry_at(RateLimitWait(LATER), 1, NOW, 1.0) == LATER, "our own line keeps them apart"
    assert next_retry_at(CircuitOpen("", LATER), 3, NOW, 0.0) == LATER


def test_a_wait_comes_back_whatever_happens() -> None:
    assert next_poll_at(errors.Transient("502"), NOW) == NOW + timedelta(seconds=30)
    assert next_poll_at(KeyError("ours"), NOW) == NOW + timedelta(seconds=30)
    assert next_poll_at(errors.Forbidden("no"), NOW) == NOW + PERMANENT_ERROR_DELAY
    assert LATER <= next_poll_at(LIMITED, NOW) <= LATER + timedelta(seconds=5)


def test_what_passes_by_itself_is_no_answer() -> None:
    """An outage of GitHub refuses no user and makes nothing count as deleted."""
    assert all(policy_for(error).is_transient for error in (LIMITED, errors.Transient(""), errors.Unauthorised("")))
    assert not any(
        policy_for(error).is_transient for error in (errors.NotFound(""), errors.Forbidden(""), errors.Gone(""))
    )
