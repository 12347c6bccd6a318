"""Commands of whoever holds a task, or is about to."""

from __future__ import annotations

from collections.abc import Mapping

from core.decide.agents import take
from core.decide.attempts import end_attempt
from core.decide.commands.answers import Refused, Rule, not_yet
from core.decide.commands.steering import refuse_merged, start_over
from core.decide.draft import Draft
from core.decide.finish import ask_again, evaluate
from core.decide.leases import seal
from core.decide.readying import check_readiness
from core.done import done_gaps, merge_gaps
from core.events import EventType
from core.lifecycle import Trigger, allows
from core.signals import CommandGiven
from core.task import Status
from core.texts import handoff


def _claim(draft: Draft, signal: CommandGiven) -> str:
    if draft.task.status is Status.FAILED:
        start_over(draft, signal)  # whoever finishes by hand what agents did not
    task = draft.task
    if task.status is Status.IN_PROGRESS and task.lease:
        raise Refused(f"`{task.lease.agent}` is at work on it. `/release` it first.")
    if task.missing and task.status is Status.PENDING:
        raise Refused(not_yet("It is not ready yet", task.missing))
    if task.status is not Status.READY:
        raise Refused(f"Only a task that is ready can be claimed; this one is {task.status}.")
    if task.waits_for:
        raise Refused(f"It waits for {', '.join(task.waits_for)}.")
    lease = take(draft, signal.actor.login, None, holder=signal.actor)
    draft.tell(EventType.TASK_ASSIGNED, actor=signal.actor.login, reason="claimed")
    return handoff(seal(draft, lease))


def _release(draft: Draft, signal: CommandGiven) -> None:
    task = draft.task
    if task.lease is None or not allows(task.status, Trigger.RELEASED):
        raise Refused("Nobody holds this task.")
    refuse_merged(task)
    draft.tell(EventType.TASK_RELEASED, actor=signal.actor.login)
    end_attempt(draft, "released", f"released by @{signal.actor.login}", blamed=False)
    draft.move(Trigger.RELEASED)
    check_readiness(draft)


def _complete(draft: Draft, signal: CommandGiven) -> str | None:
    task = draft.task
    if task.status is Status.DONE:
        return "It is done."
    ask_again(draft)
    evaluate(draft)
    task = draft.task
    if task.status is Status.DONE:
        return None
    if not (task.pull and task.pull.open):
        raise Refused(not_yet("It is not done yet", done_gaps(task)))
    if gaps := merge_gaps(task, draft.policy.merge.review):
        raise Refused(not_yet("It cannot be merged yet", gaps))
    if task.pull.merge_requested_sha == task.pull.head_sha:
        return "Everything is in place; the merge is under way."
    return f"Everything is in place: #{task.pull.number} can be merged."


RULES: Mapping[str, Rule] = {"claim": _claim, "release": _release, "complete": _complete}
