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

BATCHABLE: Final = (SetLabels, UpsertCard, CheckRun)

_ToResult = Callable[[Any], SendResult]  # from GitHub's answer to what has come of it


async def send_batch(batch: Sequence[tuple[Effect, SendContext]]) -> list[SendResult | None]:
    """Write what can be written in one request, all for one issue; None for each that has to go its own way."""
    first_effect, context = batch[0]
    labels = [label for effect, _ in batch if isinstance(effect, SetLabels) for label in effect.labels]
    if not isinstance(first_effect, BATCHABLE):
        return [None] * len(batch)
    node_ids = await context.github.get_node_ids(context.full_name, first_effect.number, labels)
    if node_ids is None:
        return [None] * len(batch)
    plans = [await _plan_write(effect, context, node_ids) for effect, context in batch]
    if any(isinstance(plan, SendResult) and plan.conflict_report for plan in plans):
        # What a person did is decided on first; the others say afterwards what has come of it.
        return [plan if isinstance(plan, SendResult) and plan.conflict_report else None for plan in plans]
    mutations = [plan for plan in plans if isinstance(plan, tuple)]
    responses: list[Any] = []
    if len(mutations) > 1:
        responses = await context.github.send_batch([mutation for mutation, _ in mutations])
    remaining_responses = iter(responses)
    return [
        (plan[1](next(remaining_responses)) if responses else None) if isinstance(plan, tuple) else plan
        for plan in plans
    ]


async def _plan_write(
    effect: Effect, context: SendContext, node_ids: NodeId
) -> tuple[Mutation, _ToResult] | SendResult | None:
    match effect:
        case SetLabels():
            return await _plan_labels(effect, context, node_ids)
        case UpsertCard():
            return await _plan_card(effect, context, node_ids)
        case CheckRun():
            return _plan_check(effect, context, node_ids)
        case _:
            return None


async def _plan_labels(
    effect: SetLabels, context: SendContext, node_ids: NodeId
) -> tuple[Mutation, _ToResult] | SendResult | None:
    labels = await issues.plan_labels(effect, context, set(node_ids.issue_labels))
    if isinstance(labels, SendResult):
        return labels
    ids = {label: node_ids.issue_labels.get(label) or node_ids.repository_labels.get(label) for label in sorted(labels)}
    if missing := [label_definition(label) for label, node_id in ids.items() if not node_id]:
        ids |= await context.github.create_labels(node_ids.repository, missing)
    label_ids = [label_id for label_id in ids.values() if label_id]
    if len(label_ids) < len(ids):
        return None
    return set_labels(node_ids.issue, label_ids), lambda _: issues.labels_result(labels, context)


async def _plan_card(
    effect: UpsertCard, context: SendContext, node_ids: NodeId
) -> tuple[Mutation, _ToResult] | SendResult | None:
    rendered = await issues.render_card(effect, context)
    if isinstance(rendered, SendResult):
        return rendered
    if rendered.comment_id is None:
        return create_comment(node_ids.issue, rendered.body), lambda response: SendResult(
            int(response["commentEdge"]["node"]["fullDatabaseId"]), rendered.content_hash
        )
    comment = node_ids.comments.get(rendered.comment_id)
    if comment is None:
        return None  # deleted, or far down
    return edit_comment(comment, rendered.body), lambda _: SendResult(rendered.comment_id, rendered.content_hash)


def _plan_check(
    effect: CheckRun, context: SendContext, node_ids: NodeId
) -> tuple[Mutation, _ToResult] | SendResult | None:
    """Created again, or changed where its id is known; what has too many remarks for one request goes its own way."""
    fingerprint, external_id = checks.check_identity(effect, context)
    previous, node_id = checks.parse_content_hash(context.content_hash)
    if context.is_retry or effect.conclusion is None or len(effect.annotations) > checks.ANNOTATIONS_PER_REQUEST:
        return None
    if fingerprint == previous:
        return SendResult(context.remote_id, context.content_hash)
    same_annotations = previous.partition(".")[2] == fingerprint.partition(".")[2]
    if previous and same_annotations and not node_id:
        return None
    annotations = (
        () if previous and same_annotations else effect.annotations
    )  # GitHub adds them to those that a run has
    content = CheckContent(effect.conclusion, effect.title, effect.summary, annotations, effect.actions)
    if previous and same_annotations:
        update_mutation = update_check_run(node_ids.repository, node_id, content)
        return update_mutation, lambda _: SendResult(context.remote_id, f"{fingerprint}.{node_id}")
    create_mutation = create_check_run(
        node_ids.repository, content, name=effect.name, sha=effect.sha, external_id=external_id
    )
    return create_mutation, lambda response: SendResult(None, f"{fingerprint}.{response['checkRun']['id']}")
