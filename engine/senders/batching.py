"""What is to be written about one task at the same time goes to GitHub in one request: labels, card, a new check.

Each of them can be written alone as well (`issues`, `checks`), and is when there is nothing else, when this way is
closed, or when it needs more than one write.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from adapters.github.batch_mutations import (
    CheckContent,
    Mutation,
    NodeId,
    create_check_run,
    create_comment,
    edit_comment,
    set_labels,
    update_check_run,
)
from config.labels import label_definition
from core.effects.base import CheckRun, Effect, SetLabels, UpsertCard
from engine.senders import checks, issues
from engine.senders.context import SendContext, SendResult

TOGETHER: Final = (SetLabels, UpsertCard, CheckRun)

_Told = Callable[[Any], SendResult]  # from GitHub's answer to what has come of it


async def send_batch(batch: Sequence[tuple[Effect, SendContext]]) -> list[SendResult | None]:
    """Write what can be written in one request, all for one issue; None for each that has to go its own way."""
    first, errand = batch[0]
    labels = [label for effect, _ in batch if isinstance(effect, SetLabels) for label in effect.labels]
    if not isinstance(first, TOGETHER):
        return [None] * len(batch)
    place = await errand.github.get_node_ids(errand.name, first.number, labels)
    if place is None:
        return [None] * len(batch)
    planned = [await _plan(effect, errand, place) for effect, errand in batch]
    if any(isinstance(plan, SendResult) and plan.signals for plan in planned):
        # What a person did is decided on first; the others say afterwards what has come of it.
        return [plan if isinstance(plan, SendResult) and plan.signals else None for plan in planned]
    pieces = [plan for plan in planned if isinstance(plan, tuple)]
    answers: list[Any] = []
    if len(pieces) > 1:
        answers = await errand.github.send_batch([piece for piece, _ in pieces])
    told = iter(answers)
    return [(plan[1](next(told)) if answers else None) if isinstance(plan, tuple) else plan for plan in planned]


async def _plan(effect: Effect, errand: SendContext, place: NodeId) -> tuple[Mutation, _Told] | SendResult | None:
    match effect:
        case SetLabels():
            return await _labels(effect, errand, place)
        case UpsertCard():
            return await _card(effect, errand, place)
        case CheckRun():
            return _check(effect, errand, place)
        case _:
            return None


async def _labels(effect: SetLabels, errand: SendContext, place: NodeId) -> tuple[Mutation, _Told] | SendResult | None:
    wanted = await issues.plan_labels(effect, errand, set(place.issue_labels))
    if isinstance(wanted, SendResult):
        return wanted
    ids = {label: place.issue_labels.get(label) or place.repository_labels.get(label) for label in sorted(wanted)}
    if missing := [label_definition(label) for label, known in ids.items() if not known]:
        ids |= await errand.github.create_labels(place.repository, missing)
    found = [one for one in ids.values() if one]
    if len(found) < len(ids):
        return None
    return set_labels(place.issue, found), lambda _: issues.labels_sent(wanted, errand)


async def _card(effect: UpsertCard, errand: SendContext, place: NodeId) -> tuple[Mutation, _Told] | SendResult | None:
    drawn = await issues.draw_card(effect, errand)
    if isinstance(drawn, SendResult):
        return drawn
    if drawn.comment_id is None:
        return create_comment(place.issue, drawn.body), lambda answer: SendResult(
            int(answer["commentEdge"]["node"]["fullDatabaseId"]), drawn.digest
        )
    comment = place.comments.get(drawn.comment_id)
    if comment is None:
        return None  # deleted, or far down
    return edit_comment(comment, drawn.body), lambda _: SendResult(drawn.comment_id, drawn.digest)


def _check(effect: CheckRun, errand: SendContext, place: NodeId) -> tuple[Mutation, _Told] | SendResult | None:
    """Created again, or changed where its id is known; what has too many remarks for one request goes its own way."""
    said, mark = checks.marks(effect, errand)
    there, node = checks.known(errand.content_hash)
    if errand.again or effect.conclusion is None or len(effect.annotations) > checks.PORTION:
        return None
    if said == there:
        return SendResult(errand.remote_id, errand.content_hash)
    same = there.partition(".")[2] == said.partition(".")[2]
    if there and same and not node:
        return None
    remarks = () if there and same else effect.annotations  # GitHub adds them to those that a run has
    shown = CheckContent(effect.conclusion, effect.title, effect.summary, remarks, effect.actions)
    if there and same:
        changed = update_check_run(place.repository, node, shown)
        return changed, lambda _: SendResult(errand.remote_id, f"{said}.{node}")
    made = create_check_run(place.repository, shown, name=effect.name, sha=effect.sha, external_id=mark)
    return made, lambda answer: SendResult(None, f"{said}.{answer['checkRun']['id']}")
