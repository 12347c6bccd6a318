"""Senders of effects on issues: labels, the card, comments, reactions, closing."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from adapters.database import repositories, store
from adapters.github.errors import Gone, NotFound
from config.labels import is_bot_label, label_definition
from core.effects.base import AddReaction, CloseIssue, ClosePull, Comment, EnsureLabels, SetLabels, UpsertCard
from core.task.labels import Baseline
from core.texts import CARD_MARKER, COMMENT_LIMIT, card_text, comment_marker
from engine.issue_timeline import read_issue_with_changes
from engine.senders.context import SendContext, SendResult


async def set_labels(effect: SetLabels, context: SendContext) -> SendResult:
    """Make our labels on the issue exactly these; the labels of others stay."""
    github, name = context.github, context.full_name
    current = {label.name for label in await github.list_issue_labels(name, effect.number)}
    result = await plan_labels(effect, context, current)
    if isinstance(result, SendResult):
        return result
    if missing := [label for label in effect.labels if label not in current]:
        await create_missing_labels(missing, context)
    await github.set_issue_labels(name, effect.number, sorted(result))
    return labels_result(result, context)


async def plan_labels(effect: SetLabels, context: SendContext, current: set[str]) -> set[str] | SendResult:
    """All labels that the issue is to have, where those that are `there` are others; else what has come of it.

    Where ours are not as they were last known to be, a user changed them, and the event may be lost: then it is
    looked who did what, and that is decided on before anything is written over it.
    """
    labels = {label for label in current if not is_bot_label(label)} | set(effect.labels)
    baseline = Baseline.parse(context.content_hash)
    if baseline and baseline.external_changes(current, effect.labels):
        signal = await read_issue_with_changes(
            context.database, context.github, context.repository, effect.number, context.forecasts
        )
        if signal is not None:
            return SendResult(
                content_hash=str(Baseline.from_labels(current, context.now)), conflict_report=((effect.number, signal),)
            )
    if {label.casefold() for label in current} == {label.casefold() for label in labels}:
        return labels_result(labels, context)
    return labels


def labels_result(labels: set[str], context: SendContext) -> SendResult:
    """The issue has these labels; a later difference is a later change."""
    return SendResult(content_hash=str(Baseline.from_labels(labels, context.now)))


async def ensure_labels(effect: EnsureLabels, context: SendContext) -> SendResult:
    """Make the labels that people put on by hand: GitHub's issue form drops a label that does not exist.

    Each is made once. If someone deletes one, it comes back when it is next needed, not here.
    """
    async with context.database.autocommit() as connection:
        known_labels = await repositories.known_labels(connection, context.repository.id)
    if missing := [label for label in effect.labels if label not in known_labels]:
        await create_missing_labels(missing, context)
        async with context.database.transaction() as connection:
            await repositories.add_known_labels(connection, context.repository.id, missing)
    return SendResult()


async def create_missing_labels(labels: Iterable[str], context: SendContext) -> None:
    """Labels that the repository lacks are made with their colour and description, before they are used."""
    await context.github.ensure_labels(context.full_name, [label_definition(label) for label in labels])


@dataclass(frozen=True, slots=True)
class RenderedCard:
    """The card as it is to be written: to this comment, or as a new one."""

    comment_id: int | None
    body: str
    content_hash: str


async def upsert_card(effect: UpsertCard, context: SendContext) -> SendResult:
    """Draw the card from the task as it is now; one comment per task, edited in place."""
    rendered = await render_card(effect, context)
    if isinstance(rendered, SendResult):
        return rendered
    if rendered.comment_id is not None:
        try:
            await context.github.update_comment(context.full_name, rendered.comment_id, rendered.body)
            return SendResult(rendered.comment_id, rendered.content_hash)
        except (NotFound, Gone):
            pass  # a user deleted it: a new one takes its place
    comment = await context.github.create_comment(context.full_name, effect.number, rendered.body)
    return SendResult(comment.id, rendered.content_hash)


async def render_card(effect: UpsertCard, context: SendContext) -> RenderedCard | SendResult:
    """The card as it is to be written, where it is not there as it is to be."""
    async with context.database.autocommit() as connection:
        task = await store.load_task(connection, context.repository.id, effect.number)
    if task is None or context.repository.config is None:
        return SendResult(context.remote_id, context.content_hash)
    is_outdated = bool(context.repository.problems)
    body = card_text(task, context.repository.config, outdated=is_outdated)
    # Those that tell of a bad configuration are rendered again once it is fixed, and are known by this.
    content_hash = (store.OUTDATED_PREFIX if is_outdated else "") + hashlib.sha256(body.encode()).hexdigest()
    comment_id = context.remote_id
    if comment_id is None and context.is_retry:
        comment_id = await find_comment(effect.number, CARD_MARKER, context)
    if comment_id is not None and content_hash == context.content_hash:
        return SendResult(comment_id, content_hash)
    visible_text = body.rpartition(CARD_MARKER)[0] or body  # one that was cut off has lost it
    body_with_state = f"{visible_text}{context.codec.make_marker(task, COMMENT_LIMIT - len(visible_text))}\n"
    return RenderedCard(comment_id, body_with_state, content_hash)


async def create_comment(effect: Comment, context: SendContext) -> SendResult:
    """Write a comment once; after an unclear answer it is looked for by its marker first."""
    marker = comment_marker(context.key)
    if context.is_retry and (comment_id := await find_comment(effect.number, marker, context)):
        return SendResult(comment_id)
    created = await context.github.create_comment(context.full_name, effect.number, f"{effect.body}\n{marker}")
    return SendResult(created.id)


async def find_comment(number: int, marker: str, context: SendContext) -> int | None:
    """Find the bot's comment with this marker. The author is checked, so others cannot forge one."""
    for comment in await context.github.list_comments(context.full_name, number):
        # At the end, because we also quote what others wrote, and that may quote a marker.
        last_line = comment.body.rstrip().rpartition("\n")[2]
        if comment.user and comment.user.id == context.identity.bot_id and last_line.startswith(marker):
            return comment.id
    return None


async def add_reaction(effect: AddReaction, context: SendContext) -> SendResult:
    """React to a comment; GitHub keeps it to one. A comment that was deleted needs no reaction."""
    with contextlib.suppress(NotFound, Gone):
        await context.github.react_to_comment(context.full_name, effect.comment_id, effect.content)
    return SendResult()


async def close_issue(effect: CloseIssue, context: SendContext) -> SendResult:
    """Close the issue of a task that is done; GitHub may have done it by a closing keyword."""
    issue = await context.github.get_issue(context.full_name, effect.number)
    if issue.state == "open":
        await context.github.update_issue(context.full_name, effect.number, state="closed", state_reason="completed")
    return SendResult()


async def close_pull(effect: ClosePull, context: SendContext) -> SendResult:
    """Close a pull request that a later attempt replaced. GitHub closes it by its issue side."""
    pull = await context.github.get_pull(context.full_name, effect.pull_number)
    if pull.state == "open":
        await context.github.update_issue(context.full_name, effect.pull_number, state="closed")
    return SendResult()
