"""Handles pushes: signs of life, moved bases, changed configuration."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from adapters.database import store
from adapters.github.models import User
from config.identities import branch_issue_number
from config.repository import CONFIG_PATH
from config.task_templates import TEMPLATES_FOLDER
from core.escalation.codeowners import PATHS
from core.intake.references import parse_branch
from core.signals.base import AgentSeen
from core.task.model import SessionState, Status, Task
from engine import conflicts, issue_reader
from engine.config_sync import sync_config
from handlers.context import Delivery, HandlerContext


async def on_push(delivery: Delivery, context: HandlerContext) -> None:
    """Commits went into a branch."""
    repository = await context.repository(delivery)
    ref = str(delivery.payload.get("ref", ""))
    if repository is None or not ref.startswith("refs/heads/") or delivery.payload.get("deleted"):
        return
    branch = ref.removeprefix("refs/heads/")
    if branch == repository.default_branch and _touches_configuration(delivery):
        await sync_config(context.work, context.github(repository), repository.id, repository.full_name)
    if repository.config is None:
        return
    attempt_branch = parse_branch(branch)
    async with context.work.begin(repository.id, delivery.received_at) as unit:
        if attempt_branch:
            # A push to an attempt's branch shows work, long before there is a pull request.
            number, attempt = attempt_branch
            await unit.apply(number, AgentSeen(attempt, SessionState.WORKING, delivery.received_at, from_push=True))
        active_tasks = await store.tasks_with_status(
            await unit.session.flushed_connection(), repository.id, [Status.IN_PROGRESS, Status.REVIEW]
        )
        pushing_agents = (
            issue_reader.agents_of_user(repository, User.model_validate(delivery.payload["sender"]), branch) or ()
        )
        if not attempt_branch and (task := _working_task(active_tasks, pushing_agents, branch)):
            signal = AgentSeen(task.attempt, SessionState.WORKING, delivery.received_at, from_push=True)
            await unit.apply(task.number, signal)
        await unit.apply_all(await conflicts.update_base(unit.session, branch, str(delivery.payload["after"])))


def _working_task(tasks: Sequence[Task], pushing_agents: Collection[str], branch: str) -> Task | None:
    """The task of the agent that pushed to a branch of its own; None if that is ambiguous."""
    issue_number = branch_issue_number(branch)
    matches = [
        task
        for task in tasks
        if task.status is Status.IN_PROGRESS
        and task.lease
        and task.lease.worker in pushing_agents
        and (task.pull is None or task.pull.branch == branch)
        and issue_number in (None, task.number)
    ]
    return matches[0] if len(matches) == 1 else None


def _touches_configuration(delivery: Delivery) -> bool:
    """Whether the push may have changed the configuration, a task template, or the code owners.

    GitHub lists at most 2,048 commits, so that many mean maybe.
    """
    commits = delivery.payload.get("commits") or []
    if len(commits) >= 2048 or delivery.payload.get("forced"):
        return True
    paths = (path for commit in commits for kind in ("added", "modified", "removed") for path in commit.get(kind) or ())
    return any(path in (CONFIG_PATH, *PATHS) or path.startswith(f"{TEMPLATES_FOLDER}/") for path in paths)
