"""Handles comments and their slash commands."""

from __future__ import annotations

from adapters.agents.run_results import RunResult, parse_run_result
from adapters.database import store
from adapters.github.convert import actor
from adapters.github.models import Comment, Issue, User
from core.commands.parser import ParsedCommand, new_commands, parse_commands
from core.decide.commands.registry import COMMANDS
from core.effects.base import AddReaction
from core.effects.base import Comment as WriteComment
from core.signals.base import EscalationAnswered
from core.task.labels import is_task
from core.texts import has_key_marker, no_configuration_text
from engine import issue_reader
from handlers import retrospectives
from handlers.context import Delivery, HandlerContext
from handlers.ensure_task import ensure_task
from handlers.run_commands import CommandInvocation, CommandOrigin, run_commands


async def on_issue_comment(delivery: Delivery, context: HandlerContext) -> None:
    """A comment was written or edited; in an edited comment only new commands are carried out."""
    if run_result := parse_run_result(str(delivery.payload["comment"].get("body") or "")):
        # Checked for every author: an agent's result is not searched for commands.
        if delivery.action == "created":
            await _apply_run_result(delivery, context, run_result)
        return
    if has_key_marker(str(delivery.payload["comment"].get("body") or "")):
        return  # the bot wrote it in a person's name, and what it quotes is no command of that person
    commands = _commands(delivery)
    if not commands:
        await retrospectives.on_comment(delivery, context)
        if delivery.action == "created":
            await _is_acknowledgement(delivery, context)
        return
    repository = await context.repository(delivery)
    if repository is None:
        return
    comment = Comment.model_validate(delivery.payload["comment"])
    issue = Issue.model_validate(delivery.payload["issue"])
    # The user who edits a comment gives its new commands, not its author.
    user = User.model_validate(delivery.payload["sender"])
    if await context.is_own_user(repository, comment.user):
        return  # a user edited the bot's own comment; that is no command
    number = await _resolve_task(context, repository.id, issue)
    if number is None and not issue.is_pull_request and is_task(issue.label_names):
        number = await ensure_task(context, repository, issue.number, comment.created_at)
    if number is None and not any(command.is_known or command.suggestion for command in commands):
        return  # outside a task, an unknown command may be meant for another bot
    if repository.config is None:
        reply = WriteComment(issue.number, f"answer:{comment.id}", no_configuration_text(repository.problems))
        await context.work.enqueue_effects(repository.id, issue.number, AddReaction(comment.id, "confused"), reply)
        return
    await context.work.enqueue_effects(repository.id, issue.number, AddReaction(comment.id, "eyes"))
    invocations = [
        CommandInvocation(command.name, command.argument, f"{comment.id}:{command.key}") for command in commands
    ]
    async with context.work.database.autocommit() as connection:
        digest_number = await store.digest_issue_number(connection, repository.id)
    # Only an ordinary issue can become a task.
    issue_facts = None if issue.is_pull_request or issue.number == digest_number else issue_reader.issue_facts(issue)
    await run_commands(
        delivery,
        context,
        repository,
        number or issue.number,
        user,
        invocations,
        CommandOrigin(issue.number, comment.id, issue_facts, comment.updated_at),
    )


async def _is_acknowledgement(delivery: Delivery, context: HandlerContext) -> None:
    """Whether a comment without commands may answer an open escalation or reminder."""
    repository = await context.repository(delivery)
    if repository is None or repository.config is None:
        return
    issue = Issue.model_validate(delivery.payload["issue"])
    user = User.model_validate(delivery.payload["sender"])
    number = await _resolve_task(context, repository.id, issue)
    if number is None or user.type == "Bot" or issue_reader.agents_of_user(repository, user) is not None:
        return
    async with context.work.database.autocommit() as connection:
        task = await store.load_task(connection, repository.id, number)
    escalation, stall = (task.escalation, task.stall) if task else (None, None)
    if (escalation is None or escalation.acknowledged_at) and not (stall and stall.notified):
        return
    github = context.github(repository)
    role = (
        "none"
        if escalation and escalation.has_notified(user.login)
        else await issue_reader.get_role(github, repository.full_name, user)
    )
    async with context.work.begin(repository.id, delivery.received_at) as unit:
        await unit.apply(number, EscalationAnswered(actor(user), role, "answer"))


async def _apply_run_result(delivery: Delivery, context: HandlerContext, run_result: RunResult) -> None:
    """Apply the plan or verdict that a run delivered."""
    repository = await context.repository(delivery)
    if (
        repository is None
        or repository.config is None
        or not run_result.is_genuine(context.result_secrets, repository.id)
    ):
        return
    async with context.work.begin(repository.id, delivery.received_at) as unit:
        await unit.apply(run_result.number, run_result.signal)


async def _resolve_task(context: HandlerContext, repository_id: int, issue: Issue) -> int | None:
    """The task of the comment: the issue itself, or the task of the pull request."""
    async with context.work.database.autocommit() as connection:
        if issue.is_pull_request:
            return await store.task_of_pull(connection, repository_id, issue.number)
        return issue.number if await store.load_task(connection, repository_id, issue.number) else None


def _commands(delivery: Delivery) -> tuple[ParsedCommand, ...]:
    body = delivery.payload["comment"].get("body")
    if delivery.action == "created":
        return parse_commands(body, COMMANDS)
    if delivery.action == "edited":
        previous_body = delivery.payload.get("changes", {}).get("body", {}).get("from")
        return new_commands(previous_body, body, COMMANDS)
    return ()
