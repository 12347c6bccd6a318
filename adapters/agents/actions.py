"""Starts agents as workflows of the repository, by one of GitHub's two dispatches.

The workflow names its run after the branch (`run-name: task/12-1 …`), and the adapter recognises the run by that name,
because a `repository_dispatch` returns no run id. Only runs that a dispatch started count; any user can choose the
title of other runs (of a pull request from a fork, say).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from adapters.agents.base import CannotStart, RepositoryContext, Started
from adapters.agents.run_results import answer_key
from adapters.agents.workflow_check import listens, problems_of_dispatch, problems_with_bots
from adapters.github.errors import Conflict, Forbidden, Gone, Invalid, NotFound
from adapters.github.models import WorkflowRun
from config.agent_kinds import ActionsAgent, AgentBase
from core.effects.base import CancelAgent, MessageAgent, PollAgent, StartAgent
from core.signals.base import AgentSeen
from core.task.model import SessionState
from core.texts import comment_marker, packet_comments

DISPATCHES = frozenset({"repository_dispatch", "workflow_dispatch"})
_RUN_NAME = re.compile(r"^task/(\d{1,9})-(\d{1,6})(?:\s|$)", re.ASCII)

PAYLOAD_LIMIT = 60_000  # bytes of a dispatch; GitHub's limits are 64 KB and 65,535 characters
FOLDER = ".github/workflows"
MOST_FILES = 30  # workflow files that are read to find the one that listens to an event
MAX_PARTS = 50  # comments that one packet may take; `.github/actions/run-agent` reads as many


def identify(run: WorkflowRun) -> tuple[int, int] | None:
    """Task and attempt of a workflow run, or None if it belongs to no agent."""
    return task_in_run_name(run.display_title) if run.event in DISPATCHES else None


def task_in_run_name(title: str) -> tuple[int, int] | None:
    """Task and attempt in the title of a run, whichever user chose it."""
    named = _RUN_NAME.match(title)
    return (int(named[1]), int(named[2])) if named else None


# Conclusions of a run in the terms of the rules; all others are failures.
_ENDS = {
    "success": SessionState.DELIVERED,
    "cancelled": SessionState.CANCELLED,
    "timed_out": SessionState.TIMED_OUT,
}
# What is not the run's own doing reads differently from a failure.
_WORDS = {
    "success": "",
    "cancelled": "was cancelled",
    "skipped": "was skipped",
    "action_required": "waits for approval",
}


def news_of(run: WorkflowRun, attempt: int) -> AgentSeen:
    """The run as a signal."""
    detail = ""
    if run.status == "completed":
        conclusion = run.conclusion or "unknown"
        state = _ENDS.get(conclusion, SessionState.FAILED)
        detail = _WORDS.get(conclusion, f"ended with {conclusion}")
    else:
        state = SessionState.WORKING if run.status == "in_progress" else SessionState.QUEUED
    return AgentSeen(attempt, state, run.updated_at, str(run.id), run.html_url, detail)


class ActionsAdapter:
    """Starts workflows."""

    async def probe(self, site: RepositoryContext, spec: AgentBase) -> tuple[str, ...]:
        """Whether the workflow exists, starts by the bot's dispatch, is enabled, and works for a bot."""
        settings = _settings(spec)
        try:
            states = {one.path: one.state for one in await site.github.list_workflows(site.repository)}
        except (Forbidden, NotFound):
            states = {}  # that we may not look is no fault of the workflow
        if settings.workflow is None:
            return await self._probe_event(site, settings.event or "", states)
        path, ref = f"{FOLDER}/{settings.workflow}", settings.ref or site.default_branch
        text = await _text(site, path, ref)
        if text is None:
            return (f"There is no `{path}` on `{ref}`: add the agent workflow.",)
        found = [*problems_of_dispatch(text, path), *problems_with_bots(text, path, site.bot_login)]
        return (*found, *_switched_off(path, states))

    async def _probe_event(self, site: RepositoryContext, event: str, states: Mapping[str, str]) -> tuple[str, ...]:
        found: list[str] = []
        for path, state in sorted(states.items())[:MOST_FILES]:
            text = await _text(site, path, site.default_branch) if path.startswith(FOLDER) else None
            if text is None or not listens(text, path, event):
                continue
            found = [*problems_with_bots(text, path, site.bot_login), *_switched_off(path, states)]
            if state == "active":
                return tuple(found)
        if found or not states or len(states) > MOST_FILES:
            return tuple(found)
        return (
            f"No workflow on `{site.default_branch}` listens to `{event}`: add it under `repository_dispatch: types:` "
            "of the agent workflow.",
        )

    async def start(self, site: RepositoryContext, spec: AgentBase, order: StartAgent, *, again: bool) -> Started:
        """Dispatch the workflow with the packet, unless the run already exists."""
        settings = _settings(spec)
        if again and await self._find(site, order.number, order.attempt):
            return Started()
        packet: dict[str, object] = order.packet
        if len(json.dumps(order.packet).encode()) > PAYLOAD_LIMIT:
            packet = {"comments": await self._by_reference(site, order)}
        if site.services.answers and order.packet["role"] != "implement":
            # Beside the packet, not in it: the comments that carry a large packet are public.
            secret = site.services.answers[0]
            packet = {**packet, "answer_key": answer_key(secret, site.repository_id, order.number, order.attempt)}
        payload = {
            "task": order.number,
            "attempt": order.attempt,
            "agent": order.agent,
            "branch": order.packet["branch"],
            "base": order.packet["base"],
            "packet": packet,
        }
        try:
            if settings.workflow:
                inputs = {k: v if isinstance(v, str) else json.dumps(v) for k, v in payload.items()}
                await site.github.dispatch_workflow(
                    site.repository,
                    settings.workflow,
                    ref=settings.ref or site.default_branch,
                    inputs=inputs,
                )
            else:
                await site.github.create_dispatch(site.repository, settings.event or "", payload)
        except (NotFound, Forbidden, Gone, Invalid, Conflict) as error:
            raise CannotStart(await self._advice(site, settings, error)) from error
        return Started()

    async def _advice(self, site: RepositoryContext, settings: ActionsAgent, error: Exception) -> str:
        problems = await self.probe(site, settings)
        if problems:
            return " ".join(problems)
        if isinstance(error, Forbidden):
            return f"The App may not start workflows here: grant it the permissions of its manifest. ({error})"
        what = f"the workflow `{settings.workflow}`" if settings.workflow else "the dispatch"
        return f"GitHub refused {what}: {error}"

    async def _by_reference(self, site: RepositoryContext, order: StartAgent) -> list[str]:
        """Write a packet that is too large for a dispatch into comments; returns their addresses, in order.

        An earlier call may have written some of them. Any user can write the bot's marker, so only the bot's own
        comments count, and only their last line: quotes of others are above it.
        """
        parts = packet_comments(order.packet, order.agent, order.attempt)
        if len(parts) > MAX_PARTS:
            raise CannotStart(
                f"The hand-off needs {len(parts)} comments, more than the limit of {MAX_PARTS}: shorten the "
                "issue, or file "
                "the rest as a new issue."
            )
        there = await site.github.list_comments(site.repository, order.number)
        ours = [comment for comment in there if comment.user and comment.user.id == site.bot_id]
        addresses = []
        for part, text in enumerate(parts, 1):
            marker = comment_marker(f"handoff:{order.number}:{order.attempt}:{part}")
            comment = next((c for c in ours if c.body.rstrip().endswith(marker)), None)
            if comment is None:
                comment = await site.github.create_comment(site.repository, order.number, f"{text}{marker}")
            addresses.append(comment.html_url)
        return addresses

    async def _find(self, site: RepositoryContext, number: int, attempt: int) -> WorkflowRun | None:
        for event in sorted(DISPATCHES):
            for run in await site.github.list_workflow_runs(site.repository, event=event):
                if identify(run) == (number, attempt):
                    return run
        return None

    async def poll(self, site: RepositoryContext, spec: AgentBase, order: PollAgent) -> AgentSeen | None:
        """Read the run."""
        try:
            if order.session is not None:
                run: WorkflowRun | None = await site.github.get_workflow_run(site.repository, int(order.session))
            else:
                run = await self._find(site, order.number, order.attempt)
        except (NotFound, Gone):
            return None
        return news_of(run, order.attempt) if run else None

    async def steer(self, site: RepositoryContext, spec: AgentBase, order: MessageAgent) -> bool:
        """A running workflow receives no messages: the next attempt carries the feedback."""
        return False

    async def cancel(self, site: RepositoryContext, spec: AgentBase, order: CancelAgent) -> None:
        """Cancel the run, if it is there and still runs."""
        run_id = int(order.session) if order.session else None
        if run_id is None:
            run = await self._find(site, order.number, order.attempt)
            run_id = run.id if run and run.status != "completed" else None
        if run_id is None:
            return
        try:
            await site.github.cancel_run(site.repository, run_id)
        except (Conflict, NotFound, Gone):
            return  # it has ended by itself


async def _text(site: RepositoryContext, path: str, ref: str) -> str | None:
    content = await site.github.get_content(site.repository, path, ref=ref)
    return content.decode("utf-8", "replace") if content is not None else None


def _switched_off(path: str, states: Mapping[str, str]) -> tuple[str, ...]:
    state = states.get(path, "active")
    if state == "active":
        return ()
    return (f"`{path}` is disabled (`{state}`): enable it under Actions.",)


def _settings(spec: AgentBase) -> ActionsAgent:
    if not isinstance(spec, ActionsAgent):
        raise CannotStart(f"the Actions adapter cannot start an agent of kind {type(spec).__name__}")
    return spec
