"""Senders about checks: writing ours, reading the others."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final, cast

from adapters.github.checks import CheckConclusion, CheckStatus
from adapters.github.ci import read_checks as read
from adapters.github.models import CheckRun as GitHubCheckRun
from core.effects.base import Annotation, CheckRun, ReadChecks
from core.intake.references import branch_name
from engine.senders.context import SendContext, SendResult

PORTION: Final = 50  # annotations that GitHub takes in one request


async def check_run(effect: CheckRun, errand: SendContext) -> SendResult:
    """Show the check on the commit as it is to be: made once, changed afterwards.

    GitHub only ever adds annotations to a run, so other annotations than before make a new run; of several with one
    name it shows the newest. `content_hash` is that of the words and buttons and, after a dot, that of the annotations;
    where it was made `together` with other things, the id follows by which GraphQL knows it.
    """
    said, mark = marks(effect, errand)
    remarks = said.partition(".")[2]
    there, node = known(errand.content_hash)
    digest = f"{said}.{node}" if node and there.partition(".")[2] == remarks else said
    if said == there and not errand.again:
        return SendResult(errand.remote_id, errand.content_hash)
    run_id = errand.remote_id if there.partition(".")[2] == remarks else None
    told = len(effect.annotations) if run_id is not None else 0
    # One that was made together with other things has no id that is known here.
    if (errand.again or (errand.content_hash and run_id is None)) and (found := await _found(effect, mark, errand)):
        run_id, told = found.id, found.output.annotations_count
    status: CheckStatus = "completed" if effect.conclusion else "in_progress"
    conclusion = cast("CheckConclusion | None", effect.conclusion)
    output = {"title": effect.title, "summary": effect.summary}
    actions = [asdict(button) for button in effect.actions]
    if run_id is None:
        made = await errand.github.create_check_run(
            errand.name,
            name=effect.name,
            head_sha=effect.sha,
            status=status,
            conclusion=conclusion,
            external_id=mark,
            output=_with(output, effect.annotations[:PORTION]),
            actions=actions or None,
        )
        run_id, told = made.id, PORTION
    else:
        portion = effect.annotations[told : told + PORTION]
        await errand.github.update_check_run(
            errand.name,
            run_id,
            status=status,
            conclusion=conclusion,
            output=_with(output, portion),
            actions=actions,  # also none: those that it had must not stay on it
        )
        told += PORTION
    for at in range(told, len(effect.annotations), PORTION):
        rest = _with(output, effect.annotations[at : at + PORTION])
        await errand.github.update_check_run(errand.name, run_id, output=rest)
    return SendResult(run_id, digest)


def marks(effect: CheckRun, errand: SendContext) -> tuple[str, str]:
    """The digest of what it says, and the mark that it carries on GitHub."""
    remarks = _digest(*map(repr, effect.annotations)) if effect.annotations else ""
    buttons = map(repr, effect.actions)
    digest = f"{_digest(str(effect.conclusion), effect.title, effect.summary, *buttons)}.{remarks}"
    # The fencing token stands in front: a reader of the check can tell which attempt it speaks of.
    whose = branch_name(effect.number, effect.attempt) if effect.attempt else ""
    return digest, " ".join(part for part in (whose, remarks[:16], errand.key) if part)[:200]


def known(digest: str | None) -> tuple[str, str]:
    """What was last said, and the id by which GraphQL knows the run, where that is known."""
    words, remarks, node = [*(digest or "").split(".", 2), "", ""][:3]
    return (f"{words}.{remarks}" if digest else ""), node


async def _found(effect: CheckRun, mark: str, errand: SendContext) -> GitHubCheckRun | None:
    """The run that an earlier try made; by its mark, since another with other annotations may stand beside it."""
    runs = await errand.github.list_check_runs(errand.name, effect.sha, name=effect.name)
    return next((r for r in runs if r.app and r.app.id == errand.identity.app_id and r.external_id == mark), None)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _with(output: dict[str, str], annotations: Sequence[Annotation]) -> dict[str, Any]:
    told = [
        {
            "path": one.path,
            "start_line": one.start_line,
            "end_line": one.end_line,
            "annotation_level": one.level,
            "message": one.message,
        }
        | ({"title": one.title} if one.title else {})
        for one in annotations
    ]
    return {**output, "annotations": told} if told else dict(output)


async def read_checks(effect: ReadChecks, errand: SendContext) -> SendResult:
    """Read the checks of the pull request's head; they go back in as a signal."""
    seen = await read(errand.github, errand.name, effect.sha, errand.identity.app_id, is_final=effect.final)
    return SendResult(signals=((effect.number, seen),))
