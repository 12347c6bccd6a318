"""Senders about checks: writing ours, reading the others."""

from __future__ import annotations

import hashlib
from typing import cast

from adapters.effects.errand import Errand, Sent
from adapters.github.checks import CheckConclusion, CheckStatus
from adapters.github.ci import read_checks as read
from core.effects import CheckRun, ReadChecks


async def check_run(effect: CheckRun, errand: Errand) -> Sent:
    """Show the check on the commit as it is to be: made once, changed afterwards."""
    digest = hashlib.sha256(f"{effect.conclusion}\0{effect.title}\0{effect.summary}".encode()).hexdigest()
    run_id = errand.remote_id
    if run_id is None and errand.again:
        runs = await errand.github.list_check_runs(errand.name, effect.sha, name=effect.name)
        ours = [r for r in runs if r.app and r.app.id == errand.identity.app_id]
        run_id = ours[0].id if ours else None
    if run_id is not None and digest == errand.digest:
        return Sent(run_id, digest)
    status: CheckStatus = "completed" if effect.conclusion else "in_progress"
    conclusion = cast("CheckConclusion | None", effect.conclusion)
    output = {"title": effect.title, "summary": effect.summary}
    if run_id is None:
        made = await errand.github.create_check_run(
            errand.name,
            name=effect.name,
            head_sha=effect.sha,
            status=status,
            conclusion=conclusion,
            external_id=errand.key[-200:],
            output=output,
        )
        run_id = made.id
    else:
        await errand.github.update_check_run(errand.name, run_id, status=status, conclusion=conclusion, output=output)
    return Sent(run_id, digest)


async def read_checks(effect: ReadChecks, errand: Errand) -> Sent:
    """Read the checks of the pull request's head; they go back in as a signal."""
    seen = await read(errand.github, errand.name, effect.sha, errand.identity.app_id, final=effect.final)
    return Sent(signals=((effect.number, seen),))
