"""Commands that let a task wait for another one: by GitHub's own dependencies, or behind one that it conflicts with."""

from __future__ import annotations

from collections.abc import Mapping

from config.problems import quote
from core.assignment.queue import cycle_through
from core.audit.events import EventType
from core.conflicts.summary import behind_which, conflicts_of
from core.decide.builder import Draft
from core.decide.commands.base import Refused, Rule
from core.decide.holds import hold
from core.effects.base import Comment, React, SetDependency
from core.intake.references import references_in
from core.signals.base import CommandGiven, DependencyRefused, NamedIssue
from core.task.dependencies import Source
from core.task.model import Status, Task
from core.text_safety.sanitize import defuse, one_line

MAX_AT_ONCE = 20  # issues that one command names: each costs a question to GitHub


def references(argument: str) -> tuple[bool, tuple[str, ...]]:
    """Whether `/depends` takes dependencies away, and the issues that it names; raises `Refused` with what is wrong."""
    word, _, rest = argument.strip().partition(" ")
    remove = word.lower() == "remove"
    found, strange = references_in(rest if remove else argument)
    if strange:
        raise Refused(f"{quote(strange)} is not an issue. Write its number, as in `/depends #12` or `acme/shop#3`.")
    if not found:
        raise Refused(f"Name an issue: `/depends {'remove ' if remove else ''}#12`.")
    if len(found) > MAX_AT_ONCE:
        raise Refused(f"Name at most {MAX_AT_ONCE} issues at once.")
    return remove, found


def _depends(draft: Draft, signal: CommandGiven) -> str | None:
    """Asks GitHub for its own dependency; the news of it makes the task wait."""
    remove, names = references(signal.argument)
    task = draft.task
    if not task.is_open and not remove:
        raise Refused(f"There is nothing to wait for: the task is {task.status}.")
    judge = _why_not_removed if remove else _why_not_added
    found: dict[str, NamedIssue] = {}
    problems = []
    for name in names:
        named = signal.issues.get(name)
        if named is None:
            where = "" if name.startswith("#") else ", or the App is not installed in its repository"
            problems.append(f"There is no issue {name}{where}.")
        elif why := judge(draft, named):
            problems.append(why)
        else:
            found[named.reference] = named
    if problems:
        raise Refused(problems[0] if len(problems) == 1 else "\n".join(f"- {why}" for why in problems))
    if draft.policy.dry_run:
        raise Refused("Dry run: the bot changes no dependency on GitHub.")
    for named in found.values():
        draft.want(
            SetDependency(
                number=task.number,
                reference=named.reference,
                issue_id=named.id,
                wanted=not remove,
                said_in=signal.number,
                comment_id=signal.comment_id,
                answer=f"{signal.key}:{named.reference}",
            )
        )
    if task.lease and not remove and task.status is Status.IN_PROGRESS:
        return f"`{task.lease.agent}` continues its work; the task waits only after it returns to the queue."
    return None


def _why_not_added(draft: Draft, named: NamedIssue) -> str | None:
    around, reference, me = draft.context.around, named.reference, f"#{draft.task.number}"
    if reference == me:
        return "A task cannot depend on itself."
    if named.pull_request:
        return f"{reference} is a pull request. Name the issue that it works on."
    if reference in around.dependencies:
        return f"The task already depends on {reference}."
    if cycle := cycle_through({**around.graph, me: (reference,)}, me):
        return f"This would form a cycle: {' → '.join((*cycle, me))}."
    return None


def _why_not_removed(draft: Draft, named: NamedIssue) -> str | None:
    match draft.context.around.sources.get(named.reference):
        case Source.BLOCKER:
            return None
        case Source.PART:
            return f"{named.reference} is a sub-issue of this issue. Remove it from the list of sub-issues."
        case Source.TEXT:
            return f"{named.reference} is named in the text of the issue. Remove it there."
        case _:
            return f"The task does not depend on {named.reference}."


def refused(draft: Draft, signal: DependencyRefused) -> None:
    """GitHub did not take it: whoever asked for it is told what else there is."""
    asked = signal.asked
    reason = defuse(one_line(signal.reason, 200)).rstrip(".")
    text = (
        f"GitHub did not add the dependency on {asked.reference} ({reason}). "
        f"Write a line `Depends on {asked.reference}` into the text of the issue instead; it has the same effect."
        if asked.wanted
        else f"GitHub did not remove the dependency on {asked.reference} ({reason}). Remove it in the sidebar "
        "of the issue."
    )
    if asked.comment_id is not None:
        draft.want(React(asked.comment_id, "confused"))
    draft.want(Comment(asked.said_in, f"refused:{asked.answer}", text))


def queue_behind(draft: Draft, signal: CommandGiven, argument: str) -> str | None:
    """`/resolve queue`: held back until the other task is over. Without a conflict it has to be named."""
    task = draft.task
    if not task.is_open:
        raise Refused(f"There is nothing to queue: the task is {task.status}.")
    conflicts = conflicts_of(task, draft.context.around.twins)
    behind = _behind(draft, argument, bool(conflicts))
    if task.held and not task.held.behind:
        raise Refused(task.held.said)
    hold(draft, signal.actor.login, behind=behind)
    told = [] if conflicts else ["This task has no known conflicts."]
    if task.lease:
        told.append(f"`{task.lease.agent}` may continue, but the bot merges nothing before {behind} is done or closed.")
    elif told:
        told.append(f"It waits anyway until {behind} is done or closed.")
    if conflicts:
        draft.tell(EventType.CONFLICT_RESOLVED, actor=signal.actor.login, how="queue", behind=behind)
    return " ".join(told) or None


def _behind(draft: Draft, argument: str, conflict: bool) -> str:
    """The task that is meant: the one named, the one whose pull request was first, or the twin."""
    example = "`/resolve queue behind #12`"
    word, _, rest = argument.strip().partition(" ")
    names, strange = references_in(rest if word.lower() == "behind" else argument)
    twins = [*behind_which(draft.task), *sorted(draft.context.around.twins)]
    if strange or len(names) > 1:
        raise Refused(f"Name one task: {example}.")
    if not names and not twins:
        if conflict:
            raise Refused(f"Name the task to wait for: {example}.")
        raise Refused(f"There is no conflict to resolve. To wait for another task anyway, comment {example}.")
    name, me = names[0] if names else f"#{twins[0]}", f"#{draft.task.number}"
    other = draft.context.named.get(name)
    if other is None:
        raise Refused(f"{name} is not a task of this repository. To wait for any issue, comment `/depends {name}`.")
    behind = f"#{other.number}"
    if behind == me:
        raise Refused("A task cannot wait for itself.")
    if over(other):
        raise Refused(f"{behind} is already over, so there is nothing to wait for.")
    if cycle := cycle_through({**draft.context.around.graph, me: (behind,)}, me):
        raise Refused(f"{behind} waits for this task itself: {' → '.join((*cycle, me))}.")
    return behind


def over(task: Task) -> bool:
    """Whether nothing waits behind this task any more. One that failed may still be retried."""
    return task.withdrawn or not task.issue_open or task.status is Status.DONE


RULES: Mapping[str, Rule] = {"depends": _depends}
