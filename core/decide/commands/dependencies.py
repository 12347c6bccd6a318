"""Implements commands that make a task wait for another: GitHub's dependencies, and the queue after a conflict."""

from __future__ import annotations

from config.problems import quote
from core.assignment.queue import shortest_cycle
from core.audit.events import EventType
from core.conflicts.summary import blocking_pull, conflict_sentences
from core.decide.builder import DecisionBuilder
from core.decide.commands.base import CommandRejected
from core.decide.holds import hold_task
from core.effects.base import AddReaction, Comment, SetDependency
from core.intake.references import find_issue_references
from core.signals.base import CommandReceived, DependencyRefused, ReferencedIssue
from core.task.dependencies import Source
from core.task.model import Status, Task
from core.text_safety.sanitize import defuse, one_line

MAX_REFERENCES = 20  # issues that one command may name: each costs a request to GitHub


def parse_references(argument: str) -> tuple[bool, tuple[str, ...]]:
    """Whether `/depends` removes dependencies, and the issues that it names. Raises `CommandRejected` if they are
    invalid.
    """
    word, _, rest = argument.strip().partition(" ")
    remove = word.lower() == "remove"
    names, invalid = find_issue_references(rest if remove else argument)
    if invalid:
        raise CommandRejected(
            f"{quote(invalid)} is not an issue. Write its number, as in `/depends #12` or `acme/shop#3`."
        )
    if not names:
        raise CommandRejected(f"Name an issue: `/depends {'remove ' if remove else ''}#12`.")
    if len(names) > MAX_REFERENCES:
        raise CommandRejected(f"Name at most {MAX_REFERENCES} issues at once.")
    return remove, names


def change_dependencies(builder: DecisionBuilder, signal: CommandReceived) -> str | None:
    """Request a dependency from GitHub; GitHub's webhook then makes the task wait."""
    remove, names = parse_references(signal.argument)
    task = builder.task
    if not task.is_open and not remove:
        raise CommandRejected(f"There is nothing to wait for: the task is {task.status}.")
    find_problem = _remove_problem if remove else _add_problem
    issues: dict[str, ReferencedIssue] = {}
    problems = []
    for name in names:
        issue = signal.referenced_issues.get(name)
        if issue is None:
            hint = "" if name.startswith("#") else ", or the App is not installed in its repository"
            problems.append(f"There is no issue {name}{hint}.")
        elif problem := find_problem(builder, issue):
            problems.append(problem)
        else:
            issues[issue.reference] = issue
    if problems:
        raise CommandRejected(problems[0] if len(problems) == 1 else "\n".join(f"- {problem}" for problem in problems))
    if builder.policy.dry_run:
        raise CommandRejected("Dry run: the bot changes no dependency on GitHub.")
    for issue in issues.values():
        builder.add_effect(
            SetDependency(
                number=task.number,
                reference=issue.reference,
                issue_id=issue.id,
                is_present=not remove,
                command_number=signal.number,
                comment_id=signal.comment_id,
                reply=f"{signal.key}:{issue.reference}",
            )
        )
    if task.lease and not remove and task.status is Status.IN_PROGRESS:
        return f"`{task.lease.agent}` continues its work; the task waits only after it returns to the queue."
    return None


def _add_problem(builder: DecisionBuilder, issue: ReferencedIssue) -> str | None:
    inputs, reference, own_reference = builder.context.readiness_inputs, issue.reference, f"#{builder.task.number}"
    if reference == own_reference:
        return "A task cannot depend on itself."
    if issue.is_pull_request:
        return f"{reference} is a pull request. Name the issue that it works on."
    if reference in inputs.dependencies:
        return f"The task already depends on {reference}."
    if cycle := shortest_cycle({**inputs.graph, own_reference: (reference,)}, own_reference):
        return f"This would form a cycle: {' → '.join((*cycle, own_reference))}."
    return None


def _remove_problem(builder: DecisionBuilder, issue: ReferencedIssue) -> str | None:
    match builder.context.readiness_inputs.sources.get(issue.reference):
        case Source.BLOCKED_BY:
            return None
        case Source.SUB_ISSUE:
            return f"{issue.reference} is a sub-issue of this issue. Remove it from the list of sub-issues."
        case Source.TEXT:
            return f"{issue.reference} is named in the text of the issue. Remove it there."
        case _:
            return f"The task does not depend on {issue.reference}."


def on_dependency_refused(builder: DecisionBuilder, signal: DependencyRefused) -> None:
    """GitHub refused the dependency: tell the user which alternatives exist."""
    effect = signal.effect
    reason = defuse(one_line(signal.reason, 200)).rstrip(".")
    text = (
        f"GitHub did not add the dependency on {effect.reference} ({reason}). "
        f"Write a line `Depends on {effect.reference}` into the text of the issue instead; it has the same effect."
        if effect.is_present
        else f"GitHub did not remove the dependency on {effect.reference} ({reason}). Remove it in the sidebar "
        "of the issue."
    )
    if effect.comment_id is not None:
        builder.add_effect(AddReaction(effect.comment_id, "confused"))
    builder.add_effect(Comment(effect.command_number, f"refused:{effect.reply}", text))


def queue_after(builder: DecisionBuilder, signal: CommandReceived, argument: str) -> str | None:
    """`/resolve queue`: hold the task until the other one is over. Without a conflict, the user must name it."""
    task = builder.task
    if not task.is_open:
        raise CommandRejected(f"There is nothing to queue: the task is {task.status}.")
    conflicts = conflict_sentences(task, builder.context.readiness_inputs.duplicates)
    blocker = _blocking_reference(builder, argument, bool(conflicts))
    if task.hold and not task.hold.blocker:
        raise CommandRejected(task.hold.description)
    hold_task(builder, signal.actor.login, blocker=blocker)
    sentences = [] if conflicts else ["This task has no known conflicts."]
    if task.lease:
        sentences.append(
            f"`{task.lease.agent}` may continue, but the bot merges nothing before {blocker} is done or closed."
        )
    elif sentences:
        sentences.append(f"It waits anyway until {blocker} is done or closed.")
    if conflicts:
        builder.add_event(EventType.CONFLICT_RESOLVED, actor=signal.actor.login, how="queue", behind=blocker)
    return " ".join(sentences) or None


def _blocking_reference(builder: DecisionBuilder, argument: str, has_conflict: bool) -> str:
    """The task to wait for: the named one, the one whose pull request is older, or the duplicate."""
    example = "`/resolve queue behind #12`"
    word, _, rest = argument.strip().partition(" ")
    names, invalid = find_issue_references(rest if word.lower() == "behind" else argument)
    candidates = [*blocking_pull(builder.task), *sorted(builder.context.readiness_inputs.duplicates)]
    if invalid or len(names) > 1:
        raise CommandRejected(f"Name one task: {example}.")
    if not names and not candidates:
        if has_conflict:
            raise CommandRejected(f"Name the task to wait for: {example}.")
        raise CommandRejected(f"There is no conflict to resolve. To wait for another task anyway, comment {example}.")
    name, own_reference = names[0] if names else f"#{candidates[0]}", f"#{builder.task.number}"
    blocking_task = builder.context.command.referenced_tasks.get(name)
    if blocking_task is None:
        raise CommandRejected(
            f"{name} is not a task of this repository. To wait for any issue, comment `/depends {name}`."
        )
    blocker = f"#{blocking_task.number}"
    if blocker == own_reference:
        raise CommandRejected("A task cannot wait for itself.")
    if is_finished(blocking_task):
        raise CommandRejected(f"{blocker} is already over, so there is nothing to wait for.")
    if cycle := shortest_cycle({**builder.context.readiness_inputs.graph, own_reference: (blocker,)}, own_reference):
        raise CommandRejected(f"{blocker} waits for this task itself: {' → '.join((*cycle, own_reference))}.")
    return blocker


def is_finished(task: Task) -> bool:
    """Whether no task can wait for this one any more. A failed task may still be retried."""
    return task.untracked or not task.issue_open or task.status is Status.DONE
