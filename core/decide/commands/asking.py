"""Commands by which anybody asks; they change nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from core.assignment import choose, part_of
from core.decide.commands.answers import Rule, RuleAnywhere, Told
from core.decide.draft import Context, Draft
from core.signals import CommandGiven
from core.task import Status, Task
from core.texts import explain, help_text, status_text


def _help(context: Context, signal: CommandGiven, task: Task | None) -> Told:
    return Told(help_text())


def _status(draft: Draft, signal: CommandGiven) -> str:
    return status_text(draft.task, draft.policy, draft.context.config_problems)


def _explain(draft: Draft, signal: CommandGiven) -> str:
    task = draft.task
    if task.status is Status.READY and not task.waits_for:
        agents = draft.context.agents
        role = part_of(task, agents, draft.policy.plan)
        now = choose(task, agents, draft.policy.scoring, draft.now, role)
        return explain(replace(task, choice=now))
    return explain(task)


RULES: Mapping[str, Rule] = {"status": _status, "explain": _explain}
RULES_ANYWHERE: Mapping[str, RuleAnywhere] = {"help": _help}
