"""Handles comments and their slash commands."""

from __future__ import annotations

import structlog

from adapters.agents.run_results import RunResult, parse_run_result
from adapters.database import store
from adapters.database.repositories import RepositoryRow
from adapters.database.stranger_commands import use_budget
from adapters.github.convert import actor
from adapters.github.models import Comment, Issue, User
from adapters.github.rate_limit import RateLimitWait
from core.commands.parser import ParsedCommand, new_commands, parse_commands
from core.commands.stranger_budget import Verdict, is_stranger
from core.decide.commands.registry import COMMANDS
from core.effects.base import AddReaction
from core.effects.base import Comment as WriteComment
from core.signals.base import EscalationAnswered
from core.task.labels import is_task
from core.texts import has_key_marker, no_configuration_text
from core.texts.replies import ONE_COMMAND_TEXT, budget_used_text
from engine import issue_reader
from handlers import retrospectives
from handlers.context import Delivery, HandlerContext
from handlers.ensure_task import ensure_task
from handlers.run_commands import CommandInvocation, CommandOrigin, run_commands

log = structlog.get_logger()


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
    invocations = [
        CommandInvocation(command.name, command.argument, f"{comment.id}:{command.key}") for command in commands
    ]
    github, note = context.github(repository), ""
    role = await issue_reader.get_role(github, repository.full_name, user)
    is_limited = is_stranger(role) and issue_reader.agents_of_user(repository, user) is None
    if is_limited:
        if not await _has_budget(context, repository, issue.number, comment, user):
            return
        note = ONE_COMMAND_TEXT if len(invocations) > 1 else ""
        invocations = invocations[:1]
    if repository.config is None:
        reply = WriteComment(issue.number, f"answer:{comment.id}", no_configuration_text(repository.problems))
        await context.work.enqueue_effects(repository.id, issue.number, AddReaction(comment.id, "confused"), reply)
        return
    if not is_limited:
        await context.work.enqueue_effects(repository.id, issue.number, AddReaction(comment.id, "eyes"))
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
        CommandOrigin(issue.number, comment.id, issue_facts, comment.updated_at, note=note),
        role,
    )


async def _has_budget(
    context: HandlerContext, repository: RepositoryRow, number: int, comment: Comment, user: User
) -> bool:
    """Whether a person without a role may have one more answer; the first time not, the person is told.

    Raises RateLimitWait if it has to wait for a moment.
    """
    now, key = context.work.now(), f"{comment.id}:{comment.updated_at.isoformat()}"
    database, installation_id = context.work.database, repository.installation_id
    decision = await use_budget(database, installation_id, user.id, key, now, context.stranger_limits)
    if decision.verdict is None:
        raise RateLimitWait(decision.retry_at or now)
    if decision.verdict is Verdict.ANSWER:
        return True
    log.info("stranger_command_ignored", repository=repository.full_name, issue=number, user=user.login)
    if decision.verdict is Verdict.LAST_NOTICE and decision.retry_at:
        text = budget_used_text(context.stranger_limits.per_person_and_hour, decision.retry_at, now)
        reply = WriteComment(number, f"answer:{comment.id}", text)
        await context.work.enqueue_effects(repository.id, number, AddReaction(comment.id, "confused"), reply)
    return False


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
