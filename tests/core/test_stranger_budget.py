"""Commands of people without a role: a few an hour each, a tenth of the installation's requests together."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from core.commands.stranger_budget import (
    SHARE,
    WRITES_PER_COMMAND,
    BudgetDecision,
    CommandUse,
    StrangerLimits,
    Verdict,
    decide_stranger_command,
    is_stranger,
)
from core.rate_limits import RateLimits

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
LIMITS = StrangerLimits(per_person_and_hour=3, per_hour=6, per_minute=2)
ANSWER, IGNORE = BudgetDecision(Verdict.ANSWER), BudgetDecision(Verdict.IGNORE)


def uses(*minutes_ago_by_user: tuple[int, float]) -> list[CommandUse]:
    """Comments: whose, and how long ago."""
    return [
        CommandUse(user, f"key-{index}", NOW - timedelta(minutes=minutes))
        for index, (user, minutes) in enumerate(minutes_ago_by_user)
    ]


MINE = [(1, 50.0), (1, 40.0), (1, 30.0)]
NOTICE = BudgetDecision(Verdict.LAST_NOTICE, NOW + timedelta(minutes=10))


@pytest.mark.parametrize(
    ("earlier", "key", "decision"),
    [
        ([], "new", ANSWER),
        (MINE[:2], "new", ANSWER),
        (MINE, "new", NOTICE),
        ([*MINE, (1, 20.0)], "new", IGNORE),
        ([(2, 50.0), (3, 50.0), (4, 40.0), (5, 30.0), (6, 20.0)], "new", ANSWER),
        ([(2, 50.0), (3, 50.0), (4, 40.0), (5, 30.0), (6, 20.0), (7, 10.0)], "new", IGNORE),  # together
        ([(2, 0.5), (3, 0.2)], "new", BudgetDecision(None, NOW + timedelta(seconds=30))),  # in a moment
        ([(2, 1.0), (3, 0.2)], "new", ANSWER),
        ([*MINE, (1, 20.0)], "key-0", ANSWER),  # handled once more after a failure
        ([*MINE, (1, 20.0)], "key-3", NOTICE),
    ],
)
def test_what_becomes_of_a_comment(earlier: list[tuple[int, float]], key: str, decision: BudgetDecision) -> None:
    assert decide_stranger_command(uses(*earlier), 1, key, NOW, LIMITS) == decision


@pytest.mark.parametrize("limits", [RateLimits(), RateLimits(content_per_minute=4_000, content_per_hour=100_000)])
def test_strangers_get_at_most_a_tenth_of_what_may_be_written(limits: RateLimits) -> None:
    theirs = StrangerLimits.from_rate_limits(limits)
    assert theirs.per_hour * WRITES_PER_COMMAND * SHARE <= limits.content_per_hour
    assert theirs.per_minute * WRITES_PER_COMMAND * SHARE <= limits.content_per_minute
    assert theirs.per_person_and_hour <= theirs.per_hour


@pytest.mark.parametrize(("role", "limited"), [("none", True), ("read", True), ("triage", False), ("admin", False)])
def test_who_is_limited(role: str, limited: bool) -> None:
    assert is_stranger(role) is limited
