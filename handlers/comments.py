"""Comments: slash commands."""

from __future__ import annotations

from adapters import gather
from adapters.agents.answers import Answer, read_answer
from adapters.database import store
from adapters.database.inbox import mark_delivery
from adapters.github.models import Comment, Issue, User
from adapters.pull_facts import actor
from core.command_parser import ParsedCommand, new_commands, parse_commands
from core.commands import COMMANDS, WHOLE, at_least
from core.effects import Comment as WriteComment
from core.effects import React
from core.signals import CommandGiven
from core.texts import is_marked, no_configuration
from handlers.desk import Delivery, Desk


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
    github = desk.github(repository)
    number = await _task_meant(desk, repository.id, where)
    if number is None and not any(command.known or command.suggestion for command in commands):
        return  # where no task is, a word that we do not know is for somebody else
    if repository.config is None:
        told = WriteComment(where.number, f"answer:{said.id}", no_configuration(repository.problems))
        await desk.work.send(repository.id, where.number, React(said.id, "confused"), told)
        return
    await desk.work.send(repository.id, where.number, React(said.id, "eyes"))
    role = await gather.role_of(github, repository.full_name, who)
    looks = any(command.name == "agents" and not command.argument for command in commands)
    probed = await desk.probes.of(repository) if looks else {}
    named = {}
    for command in commands:
        if command.name == "depends" and at_least(role, COMMANDS["depends"].role):
            issues = await gather.named_issues(desk.work.database, github, repository, command.argument)
            named[command.key] = issues
    async with desk.work.on(repository.id, delivery.received_at) as unit:
        for command in commands:
            await unit.apply(
                number or where.number,
                CommandGiven(
                    number=where.number,
                    name=command.name,
                    argument=command.argument,
                    actor=actor(who),
                    permission=role,
                    key=f"{said.id}:{command.key}",
                    comment_id=said.id,
                    workers=gather.workers_of(repository, who),
                    probed=probed,
                    issues=named.get(command.key, {}),
                    issue=gather.issue_facts(where) if command.name == "task" and not where.is_pull_request else None,
                ),
            )
        # In the same transaction: of all news a command is the one that must not be taken in twice.
        await mark_delivery(unit.connection, delivery.guid, handled_at=unit.now, error=None)


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
