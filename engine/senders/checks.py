"""Senders about checks: writing ours, reading the others."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final, cast

from adapters.github.checks import CheckConclusion, CheckStatus
from adapters.github.ci import read_checks as fetch_checks
from adapters.github.models import CheckRun as GitHubCheckRun
from core.effects.base import Annotation, CheckRun, ReadChecks
from core.intake.references import branch_name
from engine.senders.context import SendContext, SendResult

ANNOTATIONS_PER_REQUEST: Final = 50  # annotations that GitHub takes in one request


async def write_check_run(effect: CheckRun, context: SendContext) -> SendResult:
    """Show the check on the commit as it is to be: made once, changed afterwards.

    GitHub only ever adds annotations to a run, so other annotations than before make a new run; of several with one
    name it shows the newest. `content_hash` is that of the words and buttons and, after a dot, that of the annotations;
    where it was made `together` with other things, the id follows by which GraphQL knows it.
    """
    fingerprint, external_id = check_identity(effect, context)
    annotation_hash = fingerprint.partition(".")[2]
    previous, node_id = parse_content_hash(context.content_hash)
    content_hash = (
        f"{fingerprint}.{node_id}" if node_id and previous.partition(".")[2] == annotation_hash else fingerprint
    )
    if fingerprint == previous and not context.is_retry:
        return SendResult(context.remote_id, context.content_hash)
    run_id = context.remote_id if previous.partition(".")[2] == annotation_hash else None
    sent_count = len(effect.annotations) if run_id is not None else 0
    # One that was made together with other things has no id that is known here.
    if (context.is_retry or (context.content_hash and run_id is None)) and (
        existing := await _find_run(effect, external_id, context)
    ):
        run_id, sent_count = existing.id, existing.output.annotations_count
    status: CheckStatus = "completed" if effect.conclusion else "in_progress"
    conclusion = cast("CheckConclusion | None", effect.conclusion)
    output = {"title": effect.title, "summary": effect.summary}
    actions = [asdict(button) for button in effect.actions]
    if run_id is None:
        created = await context.github.create_check_run(
            context.full_name,
            name=effect.name,
            head_sha=effect.sha,
            status=status,
            conclusion=conclusion,
            external_id=external_id,
            output=_with_annotations(output, effect.annotations[:ANNOTATIONS_PER_REQUEST]),
            actions=actions or None,
        )
        run_id, sent_count = created.id, ANNOTATIONS_PER_REQUEST
    else:
        portion = effect.annotations[sent_count : sent_count + ANNOTATIONS_PER_REQUEST]
        await context.github.update_check_run(
            context.full_name,
            run_id,
            status=status,
            conclusion=conclusion,
            output=_with_annotations(output, portion),
            actions=actions,  # also none: those that it had must not stay on it
        )
        sent_count += ANNOTATIONS_PER_REQUEST
    for offset in range(sent_count, len(effect.annotations), ANNOTATIONS_PER_REQUEST):
        output_part = _with_annotations(output, effect.annotations[offset : offset + ANNOTATIONS_PER_REQUEST])
        await context.github.update_check_run(context.full_name, run_id, output=output_part)
    return SendResult(run_id, content_hash)


def check_identity(effect: CheckRun, context: SendContext) -> tuple[str, str]:
    """The digest of what it says, and the mark that it carries on GitHub."""
    annotation_hash = _hash(*map(repr, effect.annotations)) if effect.annotations else ""
    buttons = map(repr, effect.actions)
    fingerprint = f"{_hash(str(effect.conclusion), effect.title, effect.summary, *buttons)}.{annotation_hash}"
    # The fencing token stands in front: a reader of the check can tell which attempt it speaks of.
    branch = branch_name(effect.number, effect.attempt) if effect.attempt else ""
    return fingerprint, " ".join(part for part in (branch, annotation_hash[:16], context.key) if part)[:200]


def parse_content_hash(content_hash: str | None) -> tuple[str, str]:
    """What was last said, and the id by which GraphQL knows the run, where that is known."""
    text_hash, annotation_hash, node_id = [*(content_hash or "").split(".", 2), "", ""][:3]
    return (f"{text_hash}.{annotation_hash}" if content_hash else ""), node_id


async def _find_run(effect: CheckRun, external_id: str, context: SendContext) -> GitHubCheckRun | None:
    """The run that an earlier try made; by its mark, since another with other annotations may stand beside it."""
    runs = await context.github.list_check_runs(context.full_name, effect.sha, name=effect.name)
    return next(
        (r for r in runs if r.app and r.app.id == context.identity.app_id and r.external_id == external_id), None
    )


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _with_annotations(output: dict[str, str], annotations: Sequence[Annotation]) -> dict[str, Any]:
    items = [
        {
            "path": annotation.path,
            "start_line": annotation.start_line,
            "end_line": annotation.end_line,
            "annotation_level": annotation.level,
            "message": annotation.message,
        }
        | ({"title": annotation.title} if annotation.title else {})
        for annotation in annotations
    ]
    return {**output, "annotations": items} if items else dict(output)


async def read_checks(effect: ReadChecks, context: SendContext) -> SendResult:
    """Read the checks of the pull request's head; they go back in as a signal."""
    signal = await fetch_checks(
        context.github, context.full_name, effect.sha, context.identity.app_id, is_final=effect.is_final
    )
    return SendResult(conflict_report=((effect.number, signal),))
