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
from engine.issue_timeline import look
from engine.senders.context import SendContext, SendResult


async def set_labels(effect: SetLabels, errand: SendContext) -> SendResult:
    """Make our labels on the issue exactly these; the labels of others stay."""
    github, name = errand.github, errand.name
    there = {label.name for label in await github.list_issue_labels(name, effect.number)}
    planned = await plan_labels(effect, errand, there)
    if isinstance(planned, SendResult):
        return planned
    if new := [label for label in effect.labels if label not in there]:
        await add_to_repository(new, errand)
    await github.set_issue_labels(name, effect.number, sorted(planned))
    return labels_sent(planned, errand)


async def plan_labels(effect: SetLabels, errand: SendContext, there: set[str]) -> set[str] | SendResult:
    """All labels that the issue is to have, where those that are `there` are others; else what has come of it.

    Where ours are not as they were last known to be, a user changed them, and the event may be lost: then it is
    looked who did what, and that is decided on before anything is written over it.
    """
    wanted = {label for label in there if not is_bot_label(label)} | set(effect.labels)
    baseline = Baseline.read(errand.content_hash)
    if baseline and baseline.unexplained(there, effect.labels):
        seen = await look(errand.database, errand.github, errand.repository, effect.number, errand.forecasts)
        if seen is not None:
            return SendResult(content_hash=str(Baseline.of(there, errand.now)), signals=((effect.number, seen),))
    if {label.casefold() for label in there} == {label.casefold() for label in wanted}:
        return labels_sent(wanted, errand)
    return wanted


def labels_sent(labels: set[str], errand: SendContext) -> SendResult:
    """The issue has these labels; a later difference is a later change."""
    return SendResult(content_hash=str(Baseline.of(labels, errand.now)))


async def make_labels(effect: EnsureLabels, errand: SendContext) -> SendResult:
    """Make the labels that people put on by hand: GitHub's issue form drops a label that does not exist.

    Each is made once. If someone deletes one, it comes back when it is next needed, not here.
    """
    async with errand.database.autocommit() as connection:
        made = await repositories.known_labels(connection, errand.repository.id)
    if new := [label for label in effect.labels if label not in made]:
        await add_to_repository(new, errand)
        async with errand.database.transaction() as connection:
            await repositories.add_known_labels(connection, errand.repository.id, new)
    return SendResult()


async def add_to_repository(labels: Iterable[str], errand: SendContext) -> None:
    """Labels that the repository lacks are made with their colour and description, before they are used."""
    await errand.github.ensure_labels(errand.name, [label_definition(label) for label in labels])


@dataclass(frozen=True, slots=True)
class RenderedCard:
    """The card as it is to be written: to this comment, or as a new one."""

    comment_id: int | None
    body: str
    digest: str


async def upsert_card(effect: UpsertCard, errand: SendContext) -> SendResult:
    """Draw the card from the task as it is now; one comment per task, edited in place."""
    drawn = await draw_card(effect, errand)
    if isinstance(drawn, SendResult):
        return drawn
    if drawn.comment_id is not None:
        try:
            await errand.github.update_comment(errand.name, drawn.comment_id, drawn.body)
            return SendResult(drawn.comment_id, drawn.digest)
        except (NotFound, Gone):
            pass  # a user deleted it: a new one takes its place
    comment = await errand.github.create_comment(errand.name, effect.number, drawn.body)
    return SendResult(comment.id, drawn.digest)


async def draw_card(effect: UpsertCard, errand: SendContext) -> RenderedCard | SendResult:
    """The card as it is to be written, where it is not there as it is to be."""
    async with errand.database.autocommit() as connection:
        task = await store.load_task(connection, errand.repository.id, effect.number)
    if task is None or errand.repository.config is None:
        return SendResult(errand.remote_id, errand.content_hash)
    outdated = bool(errand.repository.problems)
    body = card_text(task, errand.repository.config, outdated=outdated)
    # Those that tell of a bad configuration are rendered again once it is fixed, and are known by this.
    digest = (store.OUTDATED_PREFIX if outdated else "") + hashlib.sha256(body.encode()).hexdigest()
    comment_id = errand.remote_id
    if comment_id is None and errand.again:
        comment_id = await find_comment(effect.number, CARD_MARKER, errand)
    if comment_id is not None and digest == errand.content_hash:
        return SendResult(comment_id, digest)
    shown = body.rpartition(CARD_MARKER)[0] or body  # one that was cut off has lost it
    sealed = f"{shown}{errand.seal.marker(task, COMMENT_LIMIT - len(shown))}\n"
    return RenderedCard(comment_id, sealed, digest)


async def comment(effect: Comment, errand: SendContext) -> SendResult:
    """Write a comment once; after an unclear answer it is looked for by its marker first."""
    marker = comment_marker(errand.key)
    if errand.again and (found := await find_comment(effect.number, marker, errand)):
        return SendResult(found)
    written = await errand.github.create_comment(errand.name, effect.number, f"{effect.body}\n{marker}")
    return SendResult(written.id)


async def find_comment(number: int, marker: str, errand: SendContext) -> int | None:
    """Find the bot's comment with this marker. The author is checked, so others cannot forge one."""
    for there in await errand.github.list_comments(errand.name, number):
        # At the end, because we also quote what others wrote, and that may quote a marker.
        last_line = there.body.rstrip().rpartition("\n")[2]
        if there.user and there.user.id == errand.identity.bot_id and last_line.startswith(marker):
            return there.id
    return None


async def react(effect: AddReaction, errand: SendContext) -> SendResult:
    """React to a comment; GitHub keeps it to one. A comment that was deleted needs no reaction."""
    with contextlib.suppress(NotFound, Gone):
        await errand.github.react_to_comment(errand.name, effect.comment_id, effect.content)
    return SendResult()


async def close_issue(effect: CloseIssue, errand: SendContext) -> SendResult:
    """Close the issue of a task that is done; GitHub may have done it by a closing keyword."""
    issue = await errand.github.get_issue(errand.name, effect.number)
    if issue.state == "open":
        await errand.github.update_issue(errand.name, effect.number, state="closed", state_reason="completed")
    return SendResult()


async def close_pull(effect: ClosePull, errand: SendContext) -> SendResult:
    """Close a pull request that a later attempt replaced. GitHub closes it by its issue side."""
    pull = await errand.github.get_pull(errand.name, effect.pull_number)
    if pull.state == "open":
        await errand.github.update_issue(errand.name, effect.pull_number, state="closed")
    return SendResult()
