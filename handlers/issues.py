"""Issues: opened, edited, labelled, closed, reopened."""

from __future__ import annotations

from adapters.database import audit_log, dependency_graph, store
from adapters.database.repositories import RepositoryRow
from adapters.github.convert import actor, pull_facts
from adapters.github.models import Issue, User
from core.commands.ordering import topics_of_label
from core.intake.missed_changes import Deed, overtaken
from core.intake.references import parse_branch
from core.signals.base import PullSeen
from core.task.labels import is_task
from engine import issue_reader
from handlers import digest as digest_handler
from handlers import retrospectives
from handlers.context import Delivery, Desk


async def issue(delivery: Delivery, desk: Desk) -> None:
    """An issue changed."""
    repository = await desk.repository(delivery)
    if repository is None or repository.config is None:
        return
    github, database = desk.github(repository), desk.work.database
    told = Issue.model_validate(delivery.payload["issue"])
    if delivery.action in ("transferred", "deleted"):
        # It is no longer here; for its task this is the same as being closed as not planned.
        told = told.model_copy(update={"state": "closed", "state_reason": "not_planned"})
    sender = User.model_validate(delivery.payload["sender"])
    us = await desk.is_us(repository, sender)
    async with database.autocommit() as connection:
        task = await store.task(connection, repository.id, told.number)
        digest = await store.digest_issue(connection, repository.id) if task is None else None
    if told.number == digest:
        await digest_handler.changed(delivery, desk, repository, told, sender, us=us)
        return  # whatever labels somebody gives it, it is no task
    if task is None and not is_task(told.label_names):
        if delivery.action == "edited":
            await retrospectives.edited(delivery, desk, repository, told, sender)
        await _no_task(desk, repository, told)
        return
    news = told
    gone = delivery.action in ("transferred", "deleted")
    if (task is None or told.updated_at <= task.issue_updated_at) and not gone:
        # Of a new task we may have missed what came before; and GitHub's clock ticks in seconds, so that two changes in
        # one of them cannot be told apart by their time.
        told = await github.get_issue(repository.full_name, told.number)
    label = delivery.payload.get("label", {}).get("name") if "label" in delivery.payload else None
    added = delivery.action == "labeled"
    if task and label and not us and not topics_of_label(label, repository.config.priorities, added=added):
        at = news.updated_at
        deed = Deed(actor(sender), at, label, added)
        async with database.autocommit() as connection:
            lines = (await audit_log.since(connection, repository.id, [told.number], at)).get(told.number, ())
        if overtaken(deed, lines):
            label = None
    # Who wrote an earlier text has not approved the one that is there now.
    same = (told.title, told.body) == (news.title, news.body)
    signal = await issue_reader.issue_seen(
        database,
        github,
        repository,
        told,
        desk.work.foresight,
        sender=sender,
        sender_can_write=not us and same and await issue_reader.can_write(github, repository.full_name, sender),
        sender_is_us=us,
        label=label,
        label_added=added,
        afresh=task is None,
        at=news.updated_at,
        was_open=news.state == "open" or delivery.action == "closed",
    )
    closing_pull = None
    if delivery.action == "closed" and task and task.pull and not task.pull.merged:
        # A merge closes the issue by its closing word, and this news may overtake that of the merge.
        closing_pull = await github.get_pull(repository.full_name, task.pull.number)
    async with desk.work.on(repository.id, delivery.received_at) as unit:
        if closing_pull is not None:
            branch = parse_branch(closing_pull.head.ref)
            attempt = branch[1] if branch else None
            await unit.apply(told.number, PullSeen(pull_facts(closing_pull), attempt, False))
        await unit.apply(told.number, signal)


async def _no_task(desk: Desk, repository: RepositoryRow, told: Issue) -> None:
    """An issue that is no task can still be what a task waits for."""
    async with desk.work.on(repository.id) as unit:
        waiting = await dependency_graph.note_dependency(
            unit.connection, repository, told.number, told.state == "closed"
        )
        await unit.look_again(told.number, waiting)
