"""What slash commands do. Who may use which is in the registry (`core.commands`); here is what they mean."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from core.assignment import choose
from core.commands import COMMANDS, at_least, nearest, refusal
from core.decide.agents import take
from core.decide.attempts import end_attempt
from core.decide.draft import Context, Decision, Draft
from core.decide.finish import ask_again, evaluate
from core.decide.readying import check_readiness
from core.done import done_gaps, merge_gaps
from core.effects import Comment, Effect, React
from core.events import EventType
from core.handoff import packet
from core.lifecycle import Trigger, allows
from core.signals import CommandGiven
from core.task import Flag, Priority, Status, Task
from core.texts import explain, handoff, help_text, how_to_begin, status_text


class Refused(Exception):
    """The command cannot be carried out now; the text says why and what to do."""


def given(task: Task | None, signal: CommandGiven, context: Context) -> Decision:
    """Carry out one command: an answer and 🚀, or 😕 with a reason."""
    command = COMMANDS.get(signal.name)
    draft = Draft(task, context) if task and not task.withdrawn else None
    try:
        if command is None:
            raise Refused(_unknown(signal.name))
        if why := refusal(command, signal.actor, signal.permission, task):
            raise Refused(why)
        if draft is None:
            if command.name != "help":
                raise Refused(how_to_begin())
            answer: str | None = help_text()
        else:
            answer = _RULES[command.name](draft, signal)
    except Refused as refused:
        return Decision(task, effects=_answer(task, signal, "confused", str(refused)))
    if draft is None:
        return Decision(task, effects=_answer(task, signal, "rocket", answer))
    draft.tell(EventType.COMMAND_RUN, actor=signal.actor.login, command=signal.name, argument=signal.argument)
    draft.want(*_answer(task, signal, "rocket", answer))
    return draft.conclude()


def _answer(
    task: Task | None, signal: CommandGiven, reaction: Literal["rocket", "confused"], text: str | None
) -> tuple[Effect, ...]:
    effects: list[Effect] = []
    if signal.comment_id is not None:
        effects.append(React(signal.comment_id, reaction))
    if text:
        effects.append(Comment(signal.number, f"answer:{signal.key}", text))
    return tuple(effects)


def _unknown(name: str) -> str:
    hint = f" Did you mean `/{near}`?" if (near := nearest(name)) else ""
    return f"There is no command `/{name}`.{hint} `/help` lists them all."


def _help(draft: Draft, signal: CommandGiven) -> str:
    return help_text()


def _status(draft: Draft, signal: CommandGiven) -> str:
    return status_text(draft.task, draft.policy)


def _explain(draft: Draft, signal: CommandGiven) -> str:
    task = draft.task
    if task.status is Status.READY and not task.waits_for:
        now = choose(task, draft.context.agents, draft.policy.scoring, draft.now)
        return explain(replace(task, choice=now))
    return explain(task)


def _claim(draft: Draft, signal: CommandGiven) -> str:
    if draft.task.status is Status.FAILED:
        _start_over(draft, signal)  # whoever finishes by hand what agents did not
    task = draft.task
    if task.status is Status.IN_PROGRESS and task.lease:
        raise Refused(f"`{task.lease.agent}` is at work on it. `/release` it first.")
    if task.missing and task.status is Status.PENDING:
        raise Refused(_not_yet("It is not ready yet", task.missing))
    if task.status is not Status.READY:
        raise Refused(f"Only a task that is ready can be claimed; this one is {task.status}.")
    if task.waits_for:
        raise Refused(f"It waits for {', '.join(task.waits_for)}.")
    lease = take(draft, signal.actor.login, None, holder=signal.actor)
    draft.tell(EventType.TASK_ASSIGNED, actor=signal.actor.login, reason="claimed")
    sealed = packet(draft.task, lease, draft.context.default_branch, draft.now.isoformat())
    return handoff(sealed)


def _release(draft: Draft, signal: CommandGiven) -> None:
    task = draft.task
    if task.lease is None or not allows(task.status, Trigger.RELEASED):
        raise Refused("Nobody holds this task.")
    _refuse_merged(task)
    draft.tell(EventType.TASK_RELEASED, actor=signal.actor.login)
    end_attempt(draft, "released", f"released by @{signal.actor.login}", blamed=False)
    draft.move(Trigger.RELEASED)
    check_readiness(draft)


def _ready(draft: Draft, signal: CommandGiven) -> str | None:
    task = draft.task
    may_approve = at_least(signal.permission, "write")
    # Of a task that somebody works on, a text that was changed meanwhile can still be approved.
    news = task.is_open and may_approve and task.approved_digest != task.text_digest
    if task.status not in (Status.PENDING, Status.READY) and not news:
        raise Refused(f"The task is already {task.status}.")
    if may_approve:
        draft.set(approved_digest=task.text_digest, approved_by=signal.actor.login)
    check_readiness(draft)
    evaluate(draft)
    if draft.task.status is Status.PENDING:
        raise Refused(_not_yet("It is not ready yet", draft.task.missing))
    return None


def _priority(draft: Draft, signal: CommandGiven) -> None:
    wanted = signal.argument.strip().upper()
    if wanted not in set(Priority):
        raise Refused("Say which priority: `/priority P0`, `/priority P1` or `/priority P2`.")
    draft.set(priority=Priority(wanted))


def _retry(draft: Draft, signal: CommandGiven) -> str | None:
    task = draft.task
    if not allows(task.status, Trigger.RETRIED):
        raise Refused(f"There is nothing to retry: the task is {task.status}.")
    _start_over(draft, signal)
    return None


def _refuse_merged(task: Task) -> None:
    if task.pull and task.pull.merged:
        raise Refused(f"#{task.pull.number} is already merged. Close and reopen the issue to start over.")


def _start_over(draft: Draft, signal: CommandGiven) -> None:
    _refuse_merged(draft.task)
    if not draft.task.issue_open:
        raise Refused("The issue is closed. Reopen it to start over.")
    end_attempt(draft, "retried", f"/retry by @{signal.actor.login}", blamed=False)
    draft.move(Trigger.RETRIED)
    draft.set(retried_after=len(draft.task.history), closed_by=None)
    draft.task = draft.task.unflagged(Flag.NEEDS_HUMAN, Flag.STALLED)
    check_readiness(draft)


def _not_yet(what: str, gaps: tuple[str, ...]) -> str:
    return f"{what}:\n\n" + "\n".join(f"- {gap}" for gap in gaps)


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
        raise Refused(_not_yet("It is not done yet", done_gaps(task)))
    if gaps := merge_gaps(task, draft.policy.merge.review):
        raise Refused(_not_yet("It cannot be merged yet", gaps))
    if task.pull.merge_requested_sha == task.pull.head_sha:
        return "Everything is in place; the merge is under way."
    return f"Everything is in place: #{task.pull.number} can be merged."


_RULES: dict[str, Callable[[Draft, CommandGiven], str | None]] = {
    "help": _help,
    "status": _status,
    "explain": _explain,
    "claim": _claim,
    "release": _release,
    "ready": _ready,
    "priority": _priority,
    "retry": _retry,
    "complete": _complete,
}
