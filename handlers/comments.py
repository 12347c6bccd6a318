"""Comments: slash commands."""

from __future__ import annotations

from adapters.agents.run_results import Answer, read_answer
from adapters.database import store
from adapters.github.convert import actor
from adapters.github.models import Comment, Issue, User
from core.commands.parser import ParsedCommand, new_commands, parse_commands
from core.commands.registry import COMMANDS, WHOLE
from core.effects.base import Comment as WriteComment
from core.effects.base import React
from core.signals.base import PersonAnswered
from core.task.labels import is_task
from core.texts import is_marked, no_configuration
from engine import issue_reader
from handlers import retrospectives
from handlers.context import Delivery, Desk
from handlers.ensure_task import introduced
from handlers.run_commands import Order, Place, carry_out


async def comment(delivery: Delivery, desk: Desk) -> None:
    """A comment was written or edited; of an edited one only what is new is carried out."""
    if answer := read_answer(str(delivery.payload["comment"].get("body") or "")):
        # Whoever it is by, an agent's words are not searched for commands.
        if delivery.action == "created":
            await _answered(delivery, desk, answer)
        return
    if is_marked(str(delivery.payload["comment"].get("body") or "")):
        return  # we wrote it in a person's name, and what it quotes of others are no commands of that person
    commands = _commands(delivery)
    if not commands:
        await retrospectives.commented(delivery, desk)
        if delivery.action == "created":
            await _heard(delivery, desk)
        return
    repository = await desk.repository(delivery)
    if repository is None:
        return
    said = Comment.model_validate(delivery.payload["comment"])
    where = Issue.model_validate(delivery.payload["issue"])
    # Whoever edits a comment gives its new commands, not whoever wrote it first.
    who = User.model_validate(delivery.payload["sender"])
    if await desk.is_us(repository, said.user):
        return  # somebody edited our own words; they are no commands
    number = await _task_meant(desk, repository.id, where)
    if number is None and not where.is_pull_request and is_task(where.label_names):
        number = await introduced(desk, repository, where.number, said.created_at)
    if number is None and not any(command.known or command.suggestion for command in commands):
        return  # where no task is, a word that we do not know is for somebody else
    if repository.config is None:
        told = WriteComment(where.number, f"answer:{said.id}", no_configuration(repository.problems))
        await desk.work.send(repository.id, where.number, React(said.id, "confused"), told)
        return
    await desk.work.send(repository.id, where.number, React(said.id, "eyes"))
    orders = [Order(command.name, command.argument, f"{said.id}:{command.key}") for command in commands]
    async with desk.work.database.autocommit() as connection:
        digest = await store.digest_issue(connection, repository.id)
    # What is no ordinary issue cannot be made a task.
    issue = None if where.is_pull_request or where.number == digest else issue_reader.issue_facts(where)
    await carry_out(
        delivery,
        desk,
        repository,
        number or where.number,
        who,
        orders,
        Place(where.number, said.id, issue, said.updated_at),
    )


async def _heard(delivery: Delivery, desk: Desk) -> None:
    """Words that are no command. Where a person was called or told and nobody answered yet, they may be the answer."""
    repository = await desk.repository(delivery)
    if repository is None or repository.config is None:
        return
    where = Issue.model_validate(delivery.payload["issue"])
    who = User.model_validate(delivery.payload["sender"])
    number = await _task_meant(desk, repository.id, where)
    if number is None or who.type == "Bot" or issue_reader.workers_of(repository, who) is not None:
        return
    async with desk.work.database.autocommit() as connection:
        task = await store.task(connection, repository.id, number)
    call, stall = (task.escalation, task.stall) if task else (None, None)
    if (call is None or call.acknowledged_at) and not (stall and stall.told):
        return
    github = desk.github(repository)
    role = (
        "none" if call and call.has_called(who.login) else await issue_reader.role_of(github, repository.full_name, who)
    )
    async with desk.work.on(repository.id, delivery.received_at) as unit:
        await unit.apply(number, PersonAnswered(actor(who), role, "answer"))


async def _answered(delivery: Delivery, desk: Desk, answer: Answer) -> None:
    """A run handed in a plan or a verdict."""
    repository = await desk.repository(delivery)
    if repository is None or repository.config is None or not answer.is_genuine(desk.answers, repository.id):
        return
    async with desk.work.on(repository.id, delivery.received_at) as unit:
        await unit.apply(answer.number, answer.signal)


async def _task_meant(desk: Desk, repository_id: int, where: Issue) -> int | None:
    """The task that a comment there speaks of: the issue itself, or what the pull request works on."""
    async with desk.work.database.autocommit() as connection:
        if where.is_pull_request:
            return await store.task_of_pull(connection, repository_id, where.number)
        return where.number if await store.task(connection, repository_id, where.number) else None


def _commands(delivery: Delivery) -> tuple[ParsedCommand, ...]:
    body = delivery.payload["comment"].get("body")
    if delivery.action == "created":
        return parse_commands(body, COMMANDS, WHOLE)
    if delivery.action == "edited":
        before = delivery.payload.get("changes", {}).get("body", {}).get("from")
        return new_commands(before, body, COMMANDS, WHOLE)
    return ()
