"""The sender that keeps the local mirror near the default branch, so that forecasts see the files as they are."""

from __future__ import annotations

import structlog

from adapters.git import GitError
from core.effects.base import RefreshMirror
from engine.senders.context import SendContext, SendResult

log = structlog.get_logger()


async def refresh_mirror(effect: RefreshMirror, context: SendContext) -> SendResult:
    """Fetch the branch. A mirror that cannot be fetched now is no reason to wait: the reconciler asks for it again."""
    try:
        mirror = context.mirror
        await mirror.fetch([f"refs/heads/{effect.branch}"], await context.github.git_token())
        if context.forecasts:
            await context.forecasts.refresh(context.repository)
    except (GitError, TimeoutError) as error:
        log.warning("mirror_not_refreshed", repository=context.full_name, error=str(error))
    return SendResult()
