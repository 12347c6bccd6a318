"""`/agents`: who there is, and agents added, changed, drained and removed while the bot runs.

A change is kept beside the file, never in it. It counts at once, for tasks that are handed out from now on; what an
agent has in hand it keeps.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from config.agent_kinds import MAX_AGENTS, NAME_PATTERN, Agent
from config.labels import MAX_NAME_LENGTH
from config.problems import nearest, quote
from config.team import BadSettings, Change, Team, checked, nearest_agent, over, read_settings
from core.assignment import rules
from core.assignment.agent_state import AVAILABLE, AgentNews, AgentState, Probed, Turn
from core.audit.events import Event, EventType
from core.commands.registry import COMMANDS
from core.decide.builder import Context
from core.decide.commands.base import Refused, RuleAnywhere, Told
from core.signals.base import CommandGiven
from core.task.model import Task
from core.texts.replies import TeamRow, team_text


def _agents(context: Context, signal: CommandGiven, task: Task | None) -> Told:
    verb, _, rest = signal.argument.strip().partition(" ")
    if not verb:
        return Told(team_text(team_rows(context, signal.probed)))
    carry_out = _VERBS.get(verb.lower())
    if carry_out is None:
        known = list(COMMANDS["agents"].forms)
        near = nearest(verb, known)
        hint = f"Did you mean `/agents {near}`?" if near else f"It takes {', '.join(f'`{word}`' for word in known)}."
        raise Refused(f"`/agents` has no {quote(verb)}. {hint}")
    name, _, words = rest.strip().partition(" ")
    if not name:
        raise Refused(f"Name an agent: `/agents {verb.lower()} codex`.")
    if not re.fullmatch(NAME_PATTERN, name, re.ASCII) or len(name) > MAX_NAME_LENGTH:
        raise Refused(f"{quote(name)} is not a valid agent name: use a-z 0-9 + # . _ - and begin with a-z or 0-9.")
    return carry_out(Asked(context, signal, task.number if task else signal.number, name, words.strip()))


@dataclass(frozen=True, slots=True)
class Asked:
    """Somebody wants an agent changed."""

    context: Context
    signal: CommandGiven
    said_at: int  # the issue
    name: str
    words: str

    @property
    def team(self) -> Team:
        """The team as it is."""
        return self.context.team

    @property
    def change(self) -> Change:
        """What was changed of this agent before, by whoever is about to change it again."""
        now = Change(self.signal.actor.login, self.context.now)
        known = self.team.changes.get(self.name)
        return replace(now, settings=known.settings, mode=known.mode) if known else now

    def tell(self, type_: EventType, change: Change, answer: str) -> Told:
        """The answer, with a line of the audit trail, and the change itself."""
        payload = {"settings": dict(change.settings), "mode": change.mode}
        event = Event(type_, self.said_at, self.context.now, self.name, actor=change.by, payload=payload)
        return Told(answer, (event,), team={self.name: change})


def team_rows(context: Context, probed: Mapping[str, Probed]) -> list[TeamRow]:
    """Every agent as the table shows it; of the removed ones those that stand in a file or have tasks in hand."""
    team, now = context.team, {agent.name: agent for agent in context.agents}
    rows = []
    for name, spec in team.known.items():
        holding, removed = context.in_hand.get(name, 0), team.mode(name) == "removed"
        if removed and not holding and name not in team.listed:
            continue
        agent = now.get(name)
        if removed:
            state = "removed" + (": it finishes its tasks" if holding else "")
        else:
            state = _state(agent) if agent else "available"
        listed = team.plain(name)
        change = team.changes.get(name)
        overs = change.settings if change and name in team.listed and not team.problem(name) else {}
        rows.append(
            TeamRow(
                name=name,
                kind=spec.adapter,
                capabilities=spec.capabilities,
                roles=spec.roles,
                in_hand=holding,
                max_tasks=spec.max_tasks,
                state=state,
                source="service" if name in team.of_service else "file" if name in team.listed else "run time",
                by=change.by if change else None,
                at=change.at if change else None,
                changes=tuple((key, _shown(value), _shown(listed.get(key))) for key, value in overs.items()),
                problem=team.problem(name),
                measures=context.measures.get(name, {}),
                removed=removed,
                probed=None if removed else probed.get(name),
            )
        )
    return rows


def _state(agent: rules.Agent) -> str:
    told = agent.condition
    if agent.unavailable and agent.unavailable != told.reason:
        return agent.unavailable  # a person's word: draining
    if agent.holding >= agent.max_tasks and told.takes_work:
        return AgentState.BUSY  # how many it has in hand stands beside it
    how = f"to end this, comment `/agents resume {agent.name}`" if told.own else ""
    return "; ".join(filter(None, (": ".join(filter(None, (told.state, told.reason))), how)))


def _shown(value: object) -> str:
    if value is None:
        return "nothing"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _read(words: str, adapter: str | None) -> dict[str, object]:
    try:
        return read_settings(words, adapter)
    except BadSettings as problem:
        raise Refused(f"This change is not valid: {problem}.") from None


def _check(name: str, settings: Mapping[str, object]) -> Agent:
    try:
        return checked(name, settings)
    except BadSettings as problem:
        raise Refused(f"This change is not valid: {problem}.") from None


def _must_be_there(asked: Asked) -> Agent:
    agent = asked.team.agents.get(asked.name)
    if agent is not None:
        return agent
    if asked.name in asked.team.known:
        raise Refused(f"`{asked.name}` is removed. To add it again, comment `/agents resume {asked.name}`.")
    raise _no_such(asked)


def _no_such(asked: Asked) -> Refused:
    return Refused(f"There is no agent `{asked.name}`. {nearest_agent(asked.name, asked.team.agents)}")


def _keeps(asked: Asked) -> str:
    count = asked.context.in_hand.get(asked.name, 0)
    if not count:
        return "it has no task now"
    return f"its {count} tasks continue" if count > 1 else "its current task continues"


def _add(asked: Asked) -> Told:
    team, name = asked.team, asked.name
    if name in team.listed or name in team.agents:
        if team.mode(name) == "removed":
            raise Refused(f"`{name}` is removed. To add it again, comment `/agents resume {name}`.")
        raise Refused(f"An agent `{name}` already exists. To change it, comment `/agents set {name} …`.")
    if len(team.agents) >= MAX_AGENTS:
        raise Refused(f"There are {MAX_AGENTS} agents already, which is the limit.")
    settings = {key: value for key, value in _read(asked.words, None).items() if value is not None}
    agent = _check(name, settings)
    can = ", ".join(f"`{c}`" for c in agent.capabilities)
    answer = (
        f"`{name}` is there ({agent.adapter}), {f'with {can}' if can else 'without capabilities'}; "
        f"it may hold {agent.max_tasks} at once."
    )
    return asked.tell(EventType.AGENT_REGISTERED, replace(asked.change, settings=settings, mode=None), answer)


def _set(asked: Asked) -> Told:
    known, plain = _must_be_there(asked), asked.team.plain(asked.name)
    if not asked.words:
        raise Refused(f"Name a change: `/agents set {asked.name} max_tasks=2`.")
    wanted = _read(asked.words, known.adapter)
    # A key that the file does not have needs no memory of being taken out.
    settings = {k: v for k, v in {**asked.change.settings, **wanted}.items() if v is not None or k in plain}
    _check(asked.name, over(plain, settings))
    said = (f"`{key}` is {'removed' if v is None else 'now ' + quote(_shown(v))}" for key, v in wanted.items())
    return asked.tell(
        EventType.AGENT_CHANGED, replace(asked.change, settings=settings), f"`{asked.name}`: {', '.join(said)}."
    )


def _drain(asked: Asked) -> Told:
    _must_be_there(asked)
    answer = f"`{asked.name}` gets no new task; {_keeps(asked)}. To undo this, comment `/agents resume {asked.name}`."
    return asked.tell(EventType.AGENT_DRAINED, replace(asked.change, mode="draining"), answer)


def _remove(asked: Asked) -> Told:
    _must_be_there(asked)
    answer = f"`{asked.name}` is removed; {_keeps(asked)}. To add it again, comment `/agents resume {asked.name}`."
    return asked.tell(EventType.AGENT_REMOVED, replace(asked.change, mode="removed"), answer)


def _resume(asked: Asked) -> Told:
    if asked.name not in asked.team.known:
        raise _no_such(asked)
    told, now = f"`{asked.name}` gets tasks again.", asked.context.now
    state = next((agent.condition for agent in asked.context.agents if agent.name == asked.name), AVAILABLE)
    news = (AgentNews(asked.name, Turn.RESUMED, now),) if state.own else ()
    if asked.team.mode(asked.name):
        return replace(asked.tell(EventType.AGENT_RESUMED, replace(asked.change, mode=None), told), agents=news)
    if not news:
        why = f" It {state.reason}." if state.reason and not state.takes_work else ""
        raise Refused(f"`{asked.name}` is not drained, removed or paused, so there is nothing to resume.{why}")
    actor, reason = asked.signal.actor.login, f"it {state.reason}"
    return Told(
        told,
        (Event(EventType.AGENT_RESUMED, asked.said_at, now, asked.name, None, actor, {"was": reason}),),
        agents=news,
    )


def _reset(asked: Asked) -> Told:
    if asked.name not in asked.team.known:
        raise _no_such(asked)
    if asked.name not in asked.team.listed:
        raise Refused(
            f"`{asked.name}` is not in the configuration file. To remove it, comment `/agents remove {asked.name}`."
        )
    change = replace(asked.change, settings={}, mode=None)
    return asked.tell(EventType.AGENT_CHANGED, change, f"`{asked.name}` has its configured settings again.")


_VERBS: Mapping[str, Callable[[Asked], Told]] = {
    "add": _add,
    "set": _set,
    "drain": _drain,
    "resume": _resume,
    "remove": _remove,
    "reset": _reset,
}
RULES_ANYWHERE: Mapping[str, RuleAnywhere] = {"agents": _agents}
