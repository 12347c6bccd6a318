"""`/task`: an issue becomes a task, and a template fills in what its text leaves out.

The text that the decision saw is the one that is filled in and approved. It is looked at again before anything is
written, so the rule only asks for it (`MakeTask`); what came of it is told by the signal `TaskMade`.
"""

from __future__ import annotations

from collections.abc import Mapping

from config.problems import nearest, quote
from config.task_templates import Templates, name_of
from core.audit.events import EventType
from core.commands.registry import at_least
from core.decide.builder import Context, Decision, Draft
from core.decide.commands.base import Refused, RuleAnywhere, Told, answer
from core.decide.issues import digest
from core.effects.base import MakeTask
from core.intake.templates import CannotFill, Filled, fill, fitting
from core.signals.base import CommandGiven, IssueFacts, TaskMade
from core.task.labels import priority_in
from core.task.model import Kind, Status, Task
from core.texts.replies import task_text


def _task(context: Context, signal: CommandGiven, task: Task | None) -> Told:
    issue, templates = signal.issue, context.templates
    known = None if task is None or task.withdrawn else task
    if issue is None:
        raise Refused("Comment `/task` on an issue: a pull request cannot be a task.")
    if not issue.open:
        raise Refused("The issue is closed. Reopen it first.")
    name = signal.argument.strip().partition(" ")[0].strip("`").lower()
    if not name and known:
        return Told(task_text(status=known.status, offered=_offered(issue, templates), broken=templates.broken))
    if name and known and known.status not in (Status.PENDING, Status.READY):
        raise Refused(f"The task is already {known.status}, and its agent works with the earlier text.")
    filled = Filled(issue.body)
    if name:
        filled = _filled(context, issue, name, known)
    empty = not (issue.intake.goal or issue.intake.criteria or issue.intake.notes)
    told = task_text(
        template=name,
        own=name in templates.own,
        headings=filled.headings,
        offered=_offered(issue, templates) if empty and not name else (),
        broken=templates.broken,
        dry_run=context.policy.dry_run,
    )
    if context.policy.dry_run or (known and not filled.headings):
        return Told(told)
    wanted = MakeTask(
        number=signal.number,
        title=issue.title,
        seen=digest(issue.title, issue.body),
        body=filled.body if filled.headings else None,
        by=signal.actor,
        can_write=at_least(signal.permission, "write"),
        asked=signal.key,
        comment_id=signal.comment_id,
        template=name,
        kind=Kind(templates.known[name].kind) if name else None,
        answer=told,
    )
    return Told(None, effects=(wanted,), answered_later=True)


def _filled(context: Context, issue: IssueFacts, name: str, known: Task | None) -> Filled:
    templates = context.templates
    if name not in templates.known:
        raise Refused(_unknown(name, templates))
    # A priority that was set by a label or a command is not to be talked over by the text.
    set_already = known or priority_in(issue.labels, context.policy.priorities)
    try:
        return fill(issue.body, templates.known[name], leave={"priority"} if set_already else ())
    except CannotFill as why:
        raise Refused(str(why)) from None


def _unknown(name: str, templates: Templates) -> str:
    for path, problem in templates.broken.items():
        if name_of(path).lower() == name:
            return task_text(broken={path: problem})
    near = nearest(name, templates.known)
    hint = f"Did you mean `/task {near}`? " if near else ""
    listed = ", ".join(f"`{known}`" for known in templates.known)
    return (
        f"There is no template {quote(name)}. {hint}There are {listed}.\n\n{task_text(broken=templates.broken)}".strip()
    )


def _offered(issue: IssueFacts, templates: Templates) -> tuple[str, ...]:
    """The templates that fit the title; all of them, where none does."""
    return fitting(issue.title, templates.known) or tuple(templates.known)


def made(task: Task | None, signal: TaskMade, context: Context) -> Decision:
    """What `/task` asked for was done, or not; now it is answered."""
    asked = signal.asked
    if signal.problem or task is None or task.withdrawn:
        problem = signal.problem or "A person removed the label `task` in the meantime."
        return Decision(task, (), answer(asked.number, asked.asked, asked.comment_id, "confused", problem))
    draft = Draft(task, context)
    if asked.kind and not task.kind_overruled:
        reason = f"the template `{asked.template}` is of that class, and @{asked.by.login} chose it"
        draft.set(kind=asked.kind, kind_overruled=True, kind_reason=reason)
    draft.tell(EventType.COMMAND_RUN, actor=asked.by.login, command="task", argument=asked.template)
    draft.want(*answer(asked.number, asked.asked, asked.comment_id, "rocket", asked.answer))
    return draft.conclude()


RULES_ANYWHERE: Mapping[str, RuleAnywhere] = {"task": _task}
