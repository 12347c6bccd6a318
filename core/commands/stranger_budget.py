"""Limits the commands of people without a role, so that they cannot use up what GitHub allows the bot.

Anyone may ask `/status` of a public repository. Each answer costs requests of the installation that agents and
maintainers need too: strangers get at most a tenth of them together, and each person only a few an hour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from core.commands.permissions import has_role
from core.rate_limits import RateLimits

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
ROLE = "triage"  # people with this role, or a stronger one, are no strangers
SHARE = 10  # strangers together get one part in so many
WRITES_PER_COMMAND = 2  # the answer and the reaction


@dataclass(frozen=True, slots=True)
class StrangerLimits:
    """How many comments with commands are answered."""

    per_person_and_hour: int = 10
    per_hour: int = 25  # of all strangers of an installation
    per_minute: int = 4

    @classmethod
    def from_rate_limits(cls, limits: RateLimits) -> StrangerLimits:
        """A tenth of what an installation may write."""
        per_command = SHARE * WRITES_PER_COMMAND
        per_hour, per_minute = limits.content_per_hour // per_command, limits.content_per_minute // per_command
        return cls(per_hour=max(1, per_hour), per_minute=max(1, per_minute))


class Verdict(Enum):
    """What becomes of a comment with commands."""

    ANSWER = "answer"
    LAST_NOTICE = "notice"  # the person is told once that the budget is used up
    IGNORE = "ignore"


@dataclass(frozen=True, slots=True)
class CommandUse:
    """A comment that was answered, or told that it is not."""

    user_id: int
    key: str  # of the comment
    used_at: datetime


@dataclass(frozen=True, slots=True)
class BudgetDecision:
    """The verdict; `retry_at` is when to look again, or for a notice, when the next command is answered."""

    verdict: Verdict | None
    retry_at: datetime | None = None


def is_stranger(role: str) -> bool:
    """Whether the commands of a person with this role are limited."""
    return not has_role(role, ROLE)


def decide_stranger_command(
    uses: Sequence[CommandUse], user_id: int, key: str, now: datetime, limits: StrangerLimits
) -> BudgetDecision:
    """What becomes of one more comment, after those of the last hour, the oldest first."""
    own = [use for use in uses if use.user_id == user_id]
    position = next((index for index, use in enumerate(own) if use.key == key), None)
    next_at = own[0].used_at + HOUR if own else now
    if position is None:  # else it is handled once more after a failure
        recent = [use for use in uses if use.used_at > now - MINUTE]
        if len(own) > limits.per_person_and_hour or len(uses) >= limits.per_hour:
            return BudgetDecision(Verdict.IGNORE)
        if len(recent) >= limits.per_minute:
            return BudgetDecision(None, recent[0].used_at + MINUTE)
        position = len(own)
    if position >= limits.per_person_and_hour:
        return BudgetDecision(Verdict.LAST_NOTICE, next_at)
    return BudgetDecision(Verdict.ANSWER)
