"""Commands of whoever holds a task, or is about to."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from core.audit.events import EventType
from core.commands.registry import holds
from core.decide.agents import show_life, take
from core.decide.attempts import end_attempt, give_up, send_back
from core.decide.builder import Draft
from core.decide.commands.base import Refused, Rule, not_yet
from core.decide.commands.maintainer import hand_to, refuse_merged, start_over
from core.decide.completion import ask_again, evaluate
from core.decide.leases import seal
from core.decide.pulls import hand_in, look_at
from core.decide.readiness import check_readiness
from core.handoff.feedback import Feedback
from core.review.definition_of_done import done_gaps, merge_gaps
from core.signals.base import CommandGiven
from core.task.lifecycle import Trigger, allows
from core.task.model import Lease, Role, Status
from core.text_safety.sanitize import clean, defuse, mask_secrets, one_line
from core.texts import handoff


def _claim(draft: Draft, signal: CommandGiven) -> str | None:
    if draft.task.status is Status.FAILED:
        start_over(draft, signal)  # whoever finishes by hand what agents did not
    task = draft.task
    if task.lease and task.lease.worker and holds(task.lease, signal.actor, signal.workers):
        return _fetched(draft, task.lease)
    if task.status is Status.IN_PROGRESS and task.lease:
        raise Refused(f"`{task.lease.agent}` is working on this task. Release it first with `/release`.")
    if task.missing and task.status is Status.PENDING:
        raise Refused(not_yet("The task is not ready yet", task.missing))
    if task.status is not Status.READY:
        raise Refused(f"Only a ready task can be claimed; this one is {task.status}.")
    if task.waits_for:
        raise Refused(f"The task waits for {', '.join(task.waits_for)}.")
    if task.held:
        raise Refused(task.held.said)
    if signal.workers is not None:
        return _for_an_agent(draft, signal, signal.workers)
    lease = take(draft, signal.actor.login, None, holder=signal.actor)
    draft.tell(EventType.TASK_ASSIGNED, actor=signal.actor.login, reason="claimed")
    return handoff(seal(draft, lease))


def _fetched(draft: Draft, lease: Lease) -> str:
    """An agent takes up what it was given, and asks for its hand-off."""
    task = draft.task
    if task.approved_digest != task.text_digest:
        raise Refused(
            "The issue text has changed and needs approval: a person with write access must comment `/ready`."
        )
    show_life(draft, lease)
    return handoff(seal(draft, lease))


def _for_an_agent(draft: Draft, signal: CommandGiven, workers: Collection[str]) -> str | None:
    """An agent takes a task by itself: as the agent, with its limits and its deadlines, and never as a person."""
    agent = next((agent for agent in draft.context.agents if agent.name in workers), None)
    if agent is None:
        raise Refused("No configured agent uses your account.")
    hand_to(draft, signal, agent)
    lease, spec = draft.task.lease, draft.policy.agents.get(agent.name)
    # Of all others the adapter brings it.
    return _fetched(draft, lease) if lease and spec and spec.comes_for_work else None


def _release(draft: Draft, signal: CommandGiven) -> None:
    task = draft.task
    if task.review and _lease_meant(draft, signal) is task.review:
        # The work stays where it is; who gives a review back is not asked for it again.
        _give_up(draft, task.review, "gave the review back", "")
        return
    if task.lease is None or not allows(task.status, Trigger.RELEASED):
        raise Refused("No one holds this task.")
    refuse_merged(task)
    draft.tell(EventType.TASK_RELEASED, actor=signal.actor.login)
    end_attempt(draft, "released", f"released by @{signal.actor.login}", blamed=False)
    draft.move(Trigger.RELEASED)
    check_readiness(draft)


def _complete(draft: Draft, signal: CommandGiven) -> str | None:
    task = draft.task
    if task.status is Status.DONE:
        return "The task is done."
    ask_again(draft)
    evaluate(draft)
    task = draft.task
    if task.status is Status.DONE:
        return None
    if not (task.pull and task.pull.open):
        raise Refused(not_yet("The task is not done yet", done_gaps(task)))
    if gaps := merge_gaps(task, draft.policy.merge.review):
        raise Refused(not_yet("The pull request cannot be merged yet", gaps))
    if task.pull.merge_requested_sha == task.pull.head_sha:
        return "Nothing is missing; the bot is merging the pull request."
    return f"Nothing is missing: #{task.pull.number} can be merged."


def _lease_meant(draft: Draft, signal: CommandGiven) -> Lease:
    """The lease that the command speaks of: the reviewer's where the reviewer says it, else the holder's."""
    task = draft.task
    mine = holds(task.lease, signal.actor, signal.workers)
    if task.review and not mine and holds(task.review, signal.actor, signal.workers):
        return task.review
    return _held(draft)


def _held(draft: Draft) -> Lease:
    if draft.task.lease is None:
        raise Refused("No one holds this task.")
    return draft.task.lease


def _heartbeat(draft: Draft, signal: CommandGiven) -> None:
    show_life(draft, _lease_meant(draft, signal))


def _progress(draft: Draft, signal: CommandGiven) -> None:
    lease = _lease_meant(draft, signal)
    text = defuse(one_line(mask_secrets(signal.argument), 300))
    if not text:
        raise Refused("Describe the progress: `/progress half of the tests pass`.")
    show_life(draft, lease)
    draft.moved_on()
    draft.set_lease(draft.task.lease_of(lease.attempt) or lease, progress=text)


def _review(draft: Draft, signal: CommandGiven) -> str | None:
    lease = _held(draft)
    pull = draft.task.pull
    if pull is None or not pull.open:
        raise Refused(f"There is no open pull request yet. Open one from `{lease.branch}` and the bot will pick it up.")
    show_life(draft)
    draft.moved_on()
    if draft.task.status is Status.IN_PROGRESS:
        hand_in(draft)
    else:
        look_at(draft, pull)
    return (
        f"The bot checks #{pull.number} now, but merges it only when it is no longer a draft." if pull.draft else None
    )


def _fail(draft: Draft, signal: CommandGiven) -> None:
    lease = _lease_meant(draft, signal)
    if not allows(draft.task.status, Trigger.SENT_BACK):
        raise Refused(f"There is no attempt to end: the task is {draft.task.status}.")
    refuse_merged(draft.task)
    reason = defuse(clean(mask_secrets(signal.argument), 1_000)).strip()
    if not reason:
        raise Refused("Give a reason for the next attempt: `/fail the API has no such call`.")
    if lease.role is not Role.IMPLEMENT:
        _give_up(draft, lease, "gave up", reason)
        return
    send_back(
        draft,
        Feedback(f"fail:{lease.attempt}", f"{lease.agent} gave up", reason, draft.now),
        blamed=lease.holder_id is None,  # a person owes nothing
    )


def _give_up(draft: Draft, lease: Lease, what: str, why: str) -> None:
    """A planner or a reviewer comes to nothing by its own word: that is never held against the work."""
    feedback = Feedback(f"fail:{lease.attempt}", f"{lease.agent} {what}", why, draft.now)
    give_up(draft, lease, feedback, cancel=False, why=why)


RULES: Mapping[str, Rule] = {
    "claim": _claim,
    "release": _release,
    "heartbeat": _heartbeat,
    "progress": _progress,
    "review": _review,
    "complete": _complete,
    "fail": _fail,
}
# What is said of the work itself counts only from whoever holds it; from others it is refused and recorded.
OF_THE_WORK = frozenset({"heartbeat", "plan", "progress", "review", "fail"})
