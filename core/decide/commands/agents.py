"""Implements `/agents`: list, add, change, drain and remove agents while the bot runs.

A change is stored beside the configuration file, never in it. It applies at once to new assignments; an agent keeps the
tasks that it holds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from config.agent_kinds import MAX_AGENTS, NAME_PATTERN, AgentSpec
from config.labels import MAX_NAME_LENGTH
from config.problems import nearest_word, quote
from config.team import (
    AgentOverride,
    InvalidSettings,
    Team,
    read_settings,
    suggest_agent,
    validate_agent,
    with_overrides,
)
from core.assignment import rules
from core.assignment.agent_state import AVAILABLE, AgentState, AgentStateChange, HealthResult, StateChangeKind
from core.audit.events import Event, EventType
from core.decide.builder import Context
from core.decide.commands.base import CommandRejected, CommandResult
from core.signals.base import CommandReceived
from core.task.model import Task
from core.texts.replies import TeamRow, team_text


def manage_agents(context: Context, signal: CommandReceived, task: Task | None) -> CommandResult:
    """`/agents`: list the agents, or change one."""
    verb, _, rest = signal.argument.strip().partition(" ")
    if not verb:
        return CommandResult(team_text(team_rows(context, signal.health)))
    run = SUBCOMMANDS.get(verb.lower())
    if run is None:
        verbs = list(SUBCOMMANDS)
        suggestion = nearest_word(verb, verbs)
        hint = (
            f"Did you mean `/agents {suggestion}`?"
            if suggestion
            else f"It takes {', '.join(f'`{word}`' for word in verbs)}."
        )
        raise CommandRejected(f"`/agents` has no {quote(verb)}. {hint}")
    name, _, arguments = rest.strip().partition(" ")
    if not name:
        raise CommandRejected(f"Name an agent: `/agents {verb.lower()} codex`.")
    if not re.fullmatch(NAME_PATTERN, name, re.ASCII) or len(name) > MAX_NAME_LENGTH:
        raise CommandRejected(
            f"{quote(name)} is not a valid agent name: use a-z 0-9 + # . _ - and begin with a-z or 0-9."
        )
    return run(AgentCommand(context, signal, task.number if task else signal.number, name, arguments.strip()))


@dataclass(frozen=True, slots=True)
class AgentCommand:
    """A request to change an agent."""

    context: Context
    signal: CommandReceived
    issue_number: int  # the issue
    name: str
    arguments: str

    @property
    def team(self) -> Team:
        """The present team."""
        return self.context.team

    @property
    def change(self) -> AgentOverride:
        """The earlier change of this agent, attributed to the user who changes it now."""
        new_change = AgentOverride(self.signal.actor.login, self.context.now)
        existing = self.team.overrides.get(self.name)
        return replace(new_change, settings=existing.settings, status=existing.status) if existing else new_change

    def build_result(self, event_type: EventType, change: AgentOverride, answer: str) -> CommandResult:
        """The answer, with the event for the audit log and the change itself."""
        payload = {"settings": dict(change.settings), "mode": change.status}
        event = Event(
            event_type, self.issue_number, self.context.now, self.name, actor=change.changed_by, payload=payload
        )
        return CommandResult(answer, (event,), team_changes={self.name: change})


def team_rows(context: Context, health: Mapping[str, HealthResult]) -> list[TeamRow]:
    """All agents as the table shows them; removed agents only if they are in a file or hold tasks."""
    team, agents = context.team, {agent.name: agent for agent in context.agents}
    rows = []
    for name, spec in team.all_agents.items():
        active_tasks, is_removed = context.command.active_tasks.get(name, 0), team.mode(name) == "removed"
        if is_removed and not active_tasks and name not in team.configured:
            continue
        agent = agents.get(name)
        if is_removed:
            state = "removed" + (": it finishes its tasks" if active_tasks else "")
        else:
            state = _state_text(agent) if agent else "available"
        file_settings = team.configured_settings(name)
        change = team.overrides.get(name)
        overrides = change.settings if change and name in team.configured and not team.override_problem(name) else {}
        rows.append(
            TeamRow(
                name=name,
                kind=spec.adapter,
                capabilities=spec.capabilities,
                roles=spec.roles,
                in_hand=active_tasks,
                max_tasks=spec.max_tasks,
                state=state,
                source="service" if name in team.service_agents else "file" if name in team.configured else "run time",
                by=change.changed_by if change else None,
                at=change.changed_at if change else None,
                changes=tuple(
                    (key, _format_value(value), _format_value(file_settings.get(key)))
                    for key, value in overrides.items()
                ),
                problem=team.override_problem(name),
                measures=context.command.measures.get(name, {}),
                removed=is_removed,
                probed=None if is_removed else health.get(name),
            )
        )
    return rows


def _state_text(agent: rules.Agent) -> str:
    availability = agent.availability
    if agent.unavailable_reason and agent.unavailable_reason != availability.reason:
        return agent.unavailable_reason  # a person decided: draining
    if agent.active_tasks >= agent.max_tasks and availability.accepts_work:
        return AgentState.BUSY  # the number of its tasks is shown beside it
    hint = f"to end this, comment `/agents resume {agent.name}`" if availability.can_resume else ""
    return "; ".join(filter(None, (": ".join(filter(None, (availability.state, availability.reason))), hint)))


def _format_value(value: object) -> str:
    if value is None:
        return "nothing"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _parse_settings(arguments: str, adapter: str | None) -> dict[str, object]:
    try:
        return read_settings(arguments, adapter)
    except InvalidSettings as error:
        raise CommandRejected(f"This change is not valid: {error}.") from None


def _validate_settings(name: str, settings: Mapping[str, object]) -> AgentSpec:
    try:
        return validate_agent(name, settings)
    except InvalidSettings as error:
        raise CommandRejected(f"This change is not valid: {error}.") from None


def _require_agent(command: AgentCommand) -> AgentSpec:
    agent = command.team.agents.get(command.name)
    if agent is not None:
        return agent
    if command.name in command.team.all_agents:
        raise CommandRejected(f"`{command.name}` is removed. To add it again, comment `/agents resume {command.name}`.")
    raise _no_such_agent(command)


def _no_such_agent(command: AgentCommand) -> CommandRejected:
    return CommandRejected(f"There is no agent `{command.name}`. {suggest_agent(command.name, command.team.agents)}")


def _active_tasks_text(command: AgentCommand) -> str:
    count = command.context.command.active_tasks.get(command.name, 0)
    if not count:
        return "it has no task now"
    return f"its {count} tasks continue" if count > 1 else "its current task continues"


def _add(command: AgentCommand) -> CommandResult:
    team, name = command.team, command.name
    if name in team.configured or name in team.agents:
        if team.mode(name) == "removed":
            raise CommandRejected(f"`{name}` is removed. To add it again, comment `/agents resume {name}`.")
        raise CommandRejected(f"An agent `{name}` already exists. To change it, comment `/agents set {name} …`.")
    if len(team.agents) >= MAX_AGENTS:
        raise CommandRejected(f"There are {MAX_AGENTS} agents already, which is the limit.")
    settings = {key: value for key, value in _parse_settings(command.arguments, None).items() if value is not None}
    agent = _validate_settings(name, settings)
    capabilities = ", ".join(f"`{capability}`" for capability in agent.capabilities)
    answer = (
        f"`{name}` is there ({agent.adapter}), {f'with {capabilities}' if capabilities else 'without capabilities'}; "
        f"it may hold {agent.max_tasks} at once."
    )
    return command.build_result(
        EventType.AGENT_REGISTERED, replace(command.change, settings=settings, status=None), answer
    )


def _set(command: AgentCommand) -> CommandResult:
    agent, file_settings = _require_agent(command), command.team.configured_settings(command.name)
    if not command.arguments:
        raise CommandRejected(f"Name a change: `/agents set {command.name} max_tasks=2`.")
    changes = _parse_settings(command.arguments, agent.adapter)
    # A key that is not in the file need not be stored as removed.
    settings = {
        setting_key: value
        for setting_key, value in {**command.change.settings, **changes}.items()
        if value is not None or setting_key in file_settings
    }
    _validate_settings(command.name, with_overrides(file_settings, settings))
    sentences = (
        f"`{key}` is {'removed' if value is None else 'now ' + quote(_format_value(value))}"
        for key, value in changes.items()
    )
    return command.build_result(
        EventType.AGENT_CHANGED,
        replace(command.change, settings=settings),
        f"`{command.name}`: {', '.join(sentences)}.",
    )


def _drain(command: AgentCommand) -> CommandResult:
    _require_agent(command)
    undo = f"To undo this, comment `/agents resume {command.name}`."
    answer = f"`{command.name}` gets no new task; {_active_tasks_text(command)}. {undo}"
    return command.build_result(EventType.AGENT_DRAINED, replace(command.change, status="draining"), answer)


def _remove(command: AgentCommand) -> CommandResult:
    _require_agent(command)
    undo = f"To add it again, comment `/agents resume {command.name}`."
    answer = f"`{command.name}` is removed; {_active_tasks_text(command)}. {undo}"
    return command.build_result(EventType.AGENT_REMOVED, replace(command.change, status="removed"), answer)


def _resume(command: AgentCommand) -> CommandResult:
    if command.name not in command.team.all_agents:
        raise _no_such_agent(command)
    reply, now = f"`{command.name}` gets tasks again.", command.context.now
    state = next((agent.availability for agent in command.context.agents if agent.name == command.name), AVAILABLE)
    agent_changes = (AgentStateChange(command.name, StateChangeKind.RESUMED, now),) if state.can_resume else ()
    if command.team.mode(command.name):
        return replace(
            command.build_result(EventType.AGENT_RESUMED, replace(command.change, status=None), reply),
            agent_changes=agent_changes,
        )
    if not agent_changes:
        reason_text = f" It {state.reason}." if state.reason and not state.accepts_work else ""
        raise CommandRejected(
            f"`{command.name}` is not drained, removed or paused, so there is nothing to resume.{reason_text}"
        )
    actor, reason = command.signal.actor.login, f"it {state.reason}"
    return CommandResult(
        reply,
        (Event(EventType.AGENT_RESUMED, command.issue_number, now, command.name, None, actor, {"was": reason}),),
        agent_changes=agent_changes,
    )


def _reset(command: AgentCommand) -> CommandResult:
    if command.name not in command.team.all_agents:
        raise _no_such_agent(command)
    if command.name not in command.team.configured:
        raise CommandRejected(
            f"`{command.name}` is not in the configuration file. To remove it, comment `/agents remove {command.name}`."
        )
    change = replace(command.change, settings={}, status=None)
    return command.build_result(EventType.AGENT_CHANGED, change, f"`{command.name}` has its configured settings again.")


SUBCOMMANDS: Mapping[str, Callable[[AgentCommand], CommandResult]] = {
    "add": _add,
    "set": _set,
    "drain": _drain,
    "resume": _resume,
    "remove": _remove,
    "reset": _reset,
}
