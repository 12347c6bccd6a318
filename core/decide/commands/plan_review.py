"""Commands by which a plan or a verdict is said: by the agent that was asked, or by a person with write access."""

from __future__ import annotations

from collections.abc import Mapping

from core.commands.registry import at_least, holds
from core.decide import agent_reviews, plans
from core.decide.attempts import end_attempt, end_review
from core.decide.builder import Draft
from core.decide.commands.base import Refused, Rule
from core.decide.github_reviews import by_person
from core.signals.base import CommandGiven, PlanDelivered, VerdictDelivered
from core.task.model import Lease, Role, Status


def _plan(draft: Draft, signal: CommandGiven) -> None:
    if not signal.argument.strip():
        raise Refused(
            "Write the plan after the command: `/plan First …`. Everything that follows in the comment is part of it."
        )
    lease = draft.task.lease
    if lease and lease.role is Role.PLAN and holds(lease, signal.actor, signal.workers):
        plans.delivered(draft, PlanDelivered(lease.attempt, signal.argument))
        return
    _refuse_unless_writer(signal, "plan")
    if lease and lease.role is Role.PLAN:
        end_attempt(draft, "released", f"@{signal.actor.login} gave a plan", blamed=False)
        plans.put(draft, signal.argument, signal.actor.login)
        plans.go_on(draft)
    elif draft.task.status in (Status.PENDING, Status.READY):
        plans.put(draft, signal.argument, signal.actor.login)
    else:
        raise Refused(f"It is too late for a plan: the task is {draft.task.status}.")


def verdict(draft: Draft, signal: CommandGiven) -> None:
    """`/review approve` and `/review changes`, with what is to be said of it behind."""
    word, *rest = signal.argument.strip().split(maxsplit=1)
    approves, text = word.lower() == "approve", "".join(rest)
    lease: Lease | None = draft.task.review
    if lease and holds(lease, signal.actor, signal.workers):
        key = f"command:{signal.key}"
        agent_reviews.delivered(draft, VerdictDelivered(lease.attempt, approves, text, key), signal.actor.id)
        return
    _refuse_unless_writer(signal, "review")
    pull = draft.task.pull
    if pull is None or not pull.open or draft.task.status not in (Status.REVIEW, Status.IN_PROGRESS):
        raise Refused("There is no pull request to review.")
    if signal.actor.id == pull.author.id or signal.actor.is_bot:
        raise Refused(
            "You cannot review this: the pull request is yours, or you are a bot that was not asked for a review."
        )
    end_review(draft, "released", f"@{signal.actor.login} reviewed it")
    by_person(draft, signal.actor, approves, text, pull.head_sha, f"command:{signal.key}")


def _refuse_unless_writer(signal: CommandGiven, part: str) -> None:
    if not at_least(signal.permission, "write"):
        raise Refused(f"You were not asked for a {part} of this task, or your attempt is over.")


RULES: Mapping[str, Rule] = {"plan": _plan}
# Rules of single uses of a command, by its name and first word.
RULES_OF_USES: Mapping[str, Rule] = {"review approve": verdict, "review changes": verdict}
