"""Starts agents as workflows of the repository, by one of GitHub's two dispatches.

The workflow names its run after the branch (`run-name: task/12-1 …`), and the adapter recognises the run by that name,
because a `repository_dispatch` returns no run id. Only runs that a dispatch started count; any user can choose the
title of other runs (of a pull request from a fork, say).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from adapters.agents.base import CannotStart, RepositoryContext, StartResult
from adapters.agents.run_results import result_key
from adapters.agents.workflow_check import bot_problems, dispatch_problems, listens_to_event
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
WORKFLOWS_FOLDER = ".github/workflows"
MAX_WORKFLOW_FILES = 30  # workflow files that are read to find the one that listens to an event
MAX_PACKET_COMMENTS = 50  # comments that one packet may take; `.github/actions/run-agent` reads as many


def task_of_run(run: WorkflowRun) -> tuple[int, int] | None:
    """Task and attempt of a workflow run, or None if it belongs to no agent."""
    return task_in_run_name(run.display_title) if run.event in DISPATCHES else None


def task_in_run_name(title: str) -> tuple[int, int] | None:
    """Task and attempt in the title of a run, whichever user chose it."""
    match = _RUN_NAME.match(title)
    return (int(match[1]), int(match[2])) if match else None


# Conclusions of a run in the terms of the rules; all others are failures.
_END_STATES = {
    "success": SessionState.DELIVERED,
    "cancelled": SessionState.CANCELLED,
    "timed_out": SessionState.TIMED_OUT,
}
# What is not the run's own doing reads differently from a failure.
_END_DETAILS = {
    "success": "",
    "cancelled": "was cancelled",
    "skipped": "was skipped",
    "action_required": "waits for approval",
}


def to_signal(run: WorkflowRun, attempt: int) -> AgentSeen:
    """The run as a signal."""
    detail = ""
    if run.status == "completed":
        conclusion = run.conclusion or "unknown"
        state = _END_STATES.get(conclusion, SessionState.FAILED)
        detail = _END_DETAILS.get(conclusion, f"ended with {conclusion}")
    else:
        state = SessionState.WORKING if run.status == "in_progress" else SessionState.QUEUED
    return AgentSeen(attempt, state, run.updated_at, str(run.id), run.html_url, detail)


class ActionsAdapter:
    """Starts workflows."""

    async def probe(self, context: RepositoryContext, spec: AgentBase) -> tuple[str, ...]:
        """Whether the workflow exists, starts by the bot's dispatch, is enabled, and works for a bot."""
        settings = _settings(spec)
        try:
            states = {
                workflow.path: workflow.state for workflow in await context.github.list_workflows(context.repository)
            }
        except (Forbidden, NotFound):
            states = {}  # that we may not look is no fault of the workflow
        if settings.workflow is None:
            return await self._probe_event(context, settings.event or "", states)
        path, ref = f"{WORKFLOWS_FOLDER}/{settings.workflow}", settings.ref or context.default_branch
        text = await _read_file(context, path, ref)
        if text is None:
            return (f"There is no `{path}` on `{ref}`: add the agent workflow.",)
        problems = [*dispatch_problems(text, path), *bot_problems(text, path, context.bot_login)]
        return (*problems, *_disabled_problem(path, states))

    async def _probe_event(self, context: RepositoryContext, event: str, states: Mapping[str, str]) -> tuple[str, ...]:
        problems: list[str] = []
        for path, state in sorted(states.items())[:MAX_WORKFLOW_FILES]:
            text = (
                await _read_file(context, path, context.default_branch) if path.startswith(WORKFLOWS_FOLDER) else None
            )
            if text is None or not listens_to_event(text, path, event):
                continue
            problems = [*bot_problems(text, path, context.bot_login), *_disabled_problem(path, states)]
            if state == "active":
                return tuple(problems)
        if problems or not states or len(states) > MAX_WORKFLOW_FILES:
            return tuple(problems)
        return (
            f"No workflow on `{context.default_branch}` listens to `{event}`: add it under "
            "`repository_dispatch: types:` of the agent workflow.",
        )

    async def start(
        self, context: RepositoryContext, spec: AgentBase, effect: StartAgent, *, is_retry: bool
    ) -> StartResult:
        """Dispatch the workflow with the packet, unless the run already exists."""
        settings = _settings(spec)
        if is_retry and await self._find_run(context, effect.number, effect.attempt):
            return StartResult()
        packet: dict[str, object] = effect.packet
        if len(json.dumps(effect.packet).encode()) > PAYLOAD_LIMIT:
            packet = {"comments": await self._write_packet_comments(context, effect)}
        if context.services.result_secrets and effect.packet["role"] != "implement":
            # Beside the packet, not in it: the comments that carry a large packet are public.
            secret = context.services.result_secrets[0]
            packet = {**packet, "answer_key": result_key(secret, context.repository_id, effect.number, effect.attempt)}
        payload = {
            "task": effect.number,
            "attempt": effect.attempt,
            "agent": effect.agent,
            "branch": effect.packet["branch"],
            "base": effect.packet["base"],
            "packet": packet,
        }
        try:
            if settings.workflow:
                inputs = {k: v if isinstance(v, str) else json.dumps(v) for k, v in payload.items()}
                await context.github.dispatch_workflow(
                    context.repository,
                    settings.workflow,
                    ref=settings.ref or context.default_branch,
                    inputs=inputs,
                )
            else:
                await context.github.create_dispatch(context.repository, settings.event or "", payload)
        except (NotFound, Forbidden, Gone, Invalid, Conflict) as error:
            raise CannotStart(await self._advice(context, settings, error)) from error
        return StartResult()

    async def _advice(self, context: RepositoryContext, settings: ActionsAgent, error: Exception) -> str:
        problems = await self.probe(context, settings)
        if problems:
            return " ".join(problems)
        if isinstance(error, Forbidden):
            return f"The App may not start workflows here: grant it the permissions of its manifest. ({error})"
        target = f"the workflow `{settings.workflow}`" if settings.workflow else "the dispatch"
        return f"GitHub refused {target}: {error}"

    async def _write_packet_comments(self, context: RepositoryContext, effect: StartAgent) -> list[str]:
        """Write a packet that is too large for a dispatch into comments; returns their addresses, in order.

        An earlier call may have written some of them. Any user can write the bot's marker, so only the bot's own
        comments count, and only their last line: quotes of others are above it.
        """
        parts = packet_comments(effect.packet, effect.agent, effect.attempt)
        if len(parts) > MAX_PACKET_COMMENTS:
            raise CannotStart(
                f"The hand-off needs {len(parts)} comments, more than the limit of {MAX_PACKET_COMMENTS}: shorten the "
                "issue, or file "
                "the rest as a new issue."
            )
        comments = await context.github.list_comments(context.repository, effect.number)
        own_comments = [comment for comment in comments if comment.user and comment.user.id == context.bot_id]
        addresses = []
        for part, text in enumerate(parts, 1):
            marker = comment_marker(f"handoff:{effect.number}:{effect.attempt}:{part}")
            comment = next((c for c in own_comments if c.body.rstrip().endswith(marker)), None)
            if comment is None:
                comment = await context.github.create_comment(context.repository, effect.number, f"{text}{marker}")
            addresses.append(comment.html_url)
        return addresses

    async def _find_run(self, context: RepositoryContext, number: int, attempt: int) -> WorkflowRun | None:
        for event in sorted(DISPATCHES):
            for run in await context.github.list_workflow_runs(context.repository, event=event):
                if task_of_run(run) == (number, attempt):
                    return run
        return None

    async def poll(self, context: RepositoryContext, spec: AgentBase, effect: PollAgent) -> AgentSeen | None:
        """Read the run."""
        try:
            if effect.session is not None:
                run: WorkflowRun | None = await context.github.get_workflow_run(context.repository, int(effect.session))
            else:
                run = await self._find_run(context, effect.number, effect.attempt)
        except (NotFound, Gone):
            return None
        return to_signal(run, effect.attempt) if run else None

    async def send_message(self, context: RepositoryContext, spec: AgentBase, effect: MessageAgent) -> bool:
        """A running workflow receives no messages: the next attempt carries the feedback."""
        return False

    async def cancel(self, context: RepositoryContext, spec: AgentBase, effect: CancelAgent) -> None:
        """Cancel the run, if it is there and still runs."""
        run_id = int(effect.session) if effect.session else None
        if run_id is None:
            run = await self._find_run(context, effect.number, effect.attempt)
            run_id = run.id if run and run.status != "completed" else None
        if run_id is None:
            return
        try:
            await context.github.cancel_run(context.repository, run_id)
        except (Conflict, NotFound, Gone):
            return  # it has ended by itself


async def _read_file(context: RepositoryContext, path: str, ref: str) -> str | None:
    content = await context.github.get_content(context.repository, path, ref=ref)
    return content.decode("utf-8", "replace") if content is not None else None


def _disabled_problem(path: str, states: Mapping[str, str]) -> tuple[str, ...]:
    state = states.get(path, "active")
    if state == "active":
        return ()
    return (f"`{path}` is disabled (`{state}`): enable it under Actions.",)


def _settings(spec: AgentBase) -> ActionsAgent:
    if not isinstance(spec, ActionsAgent):
        raise CannotStart(f"the Actions adapter cannot start an agent of kind {type(spec).__name__}")
    return spec
