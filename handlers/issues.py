"""Handles issues: opened, edited, labelled, closed, reopened."""

from __future__ import annotations

from adapters.database import audit_log, dependency_graph, store
from adapters.database.repositories import RepositoryRow
from adapters.github.convert import actor, pull_facts
from adapters.github.models import Issue, User
from core.commands.ordering import label_topics
from core.intake.missed_changes import LabelChange, superseded
from core.intake.references import parse_branch
from core.signals.base import PullSeen
from core.task.labels import is_task
from engine import issue_reader
from engine.dependents import signal_dependents
from handlers import digest as digest_handler
from handlers import retrospectives
from handlers.context import Delivery, HandlerContext


async def on_issue(delivery: Delivery, context: HandlerContext) -> None:
    """An issue changed."""
    repository = await context.repository(delivery)
    if repository is None or repository.config is None:
        return
    github, database = context.github(repository), context.work.database
    issue = Issue.model_validate(delivery.payload["issue"])
    if delivery.action in ("transferred", "deleted"):
        # The issue is no longer here; for its task this is the same as closing it as not planned.
        issue = issue.model_copy(update={"state": "closed", "state_reason": "not_planned"})
    sender = User.model_validate(delivery.payload["sender"])
    is_own = await context.is_own_user(repository, sender)
    async with database.autocommit() as connection:
        task = await store.load_task(connection, repository.id, issue.number)
        digest_number = await store.digest_issue_number(connection, repository.id) if task is None else None
    if issue.number == digest_number:
        await digest_handler.on_digest_issue(delivery, context, repository, issue, sender, is_own=is_own)
        return  # whatever labels it has, it is no task
    if task is None and not is_task(issue.label_names):
        if delivery.action == "edited":
            await retrospectives.on_issue_edited(delivery, context, repository, issue, sender)
        await _update_dependents(context, repository, issue)
        return
    delivered_issue = issue
    is_removed = delivery.action in ("transferred", "deleted")
    if (task is None or issue.updated_at <= task.issue_updated_at) and not is_removed:
        # Earlier events of a new task may be lost. GitHub's clock has seconds, so two changes within one second cannot
        # be ordered by time.
        issue = await github.get_issue(repository.full_name, issue.number)
    label = delivery.payload.get("label", {}).get("name") if "label" in delivery.payload else None
    is_added = delivery.action == "labeled"
    if task and label and not is_own and not label_topics(label, repository.config.priorities, added=is_added):
        changed_at = delivered_issue.updated_at
        change = LabelChange(actor(sender), changed_at, label, is_added)
        async with database.autocommit() as connection:
            events = (await audit_log.events_since(connection, repository.id, [issue.number], changed_at)).get(
                issue.number, ()
            )
        if superseded(change, events):
            label = None
    # The author of an earlier text has not approved the present one.
    is_unchanged = (issue.title, issue.body) == (delivered_issue.title, delivered_issue.body)
    signal = await issue_reader.make_issue_seen(
        database,
        github,
        repository,
        issue,
        context.forecasts,
        sender=sender,
        sender_can_write=not is_own
        and is_unchanged
        and await issue_reader.can_write(github, repository.full_name, sender),
        sender_is_us=is_own,
        label=label,
        label_added=is_added,
        force_read=task is None,
        occurred_at=delivered_issue.updated_at,
        was_open=delivered_issue.state == "open" or delivery.action == "closed",
    )
    closing_pull = None
    if delivery.action == "closed" and task and task.pull and not task.pull.merged:
        # A merge closes the issue by its closing keyword, and this event may overtake that of the merge.
        closing_pull = await github.get_pull(repository.full_name, task.pull.number)
    async with context.work.begin(repository.id, delivery.received_at) as unit:
        if closing_pull is not None:
            branch = parse_branch(closing_pull.head.ref)
            attempt = branch[1] if branch else None
            await unit.apply(issue.number, PullSeen(pull_facts(closing_pull), attempt, False))
        await unit.apply(issue.number, signal)


async def _update_dependents(context: HandlerContext, repository: RepositoryRow, issue: Issue) -> None:
    """A task can depend on an issue that is no task."""
    async with context.work.begin(repository.id) as unit:
        dependents = await dependency_graph.update_dependency(
            unit.session.connection, repository, issue.number, issue.state == "closed"
        )
        await unit.apply_all(signal_dependents(unit.session, issue.number, dependents))
