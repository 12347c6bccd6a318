"""Combines a repository's agents: from its file, from the service, and from changes at run time."""

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Final, Literal, TypeAlias, get_origin

from config.agent_kinds import AGENT_KINDS, AgentBase, AgentSpec
from config.agents import ServiceAgents
from config.problems import ConfigError, nearest_word, quote
from config.validation import parse_model

AgentMode: TypeAlias = Literal["draining", "removed"]
AgentSettings: TypeAlias = Mapping[str, Any]  # as in the file; a key whose value is None is removed

_DRAINING_REASON: Final = "draining: it finishes its tasks"


class InvalidSettings(ValueError):
    """A person gave an agent invalid settings; the text has every problem, with what to write instead."""


@dataclass(frozen=True, slots=True)
class AgentOverride:
    """A person's change of one agent at run time. Without settings and status, the agent is as in the file."""

    changed_by: str
    changed_at: datetime
    settings: AgentSettings = field(default_factory=dict)
    status: AgentMode | None = None


@dataclass(frozen=True)
class Team:
    """All agents. `agents` receive tasks; removed agents are kept, because they may still hold tasks."""

    configured: Mapping[str, AgentSpec] = field(default_factory=dict)  # from the repository's file and from the service
    service_agents: frozenset[str] = frozenset()
    overrides: Mapping[str, AgentOverride] = field(default_factory=dict)

    @cached_property
    def all_agents(self) -> dict[str, AgentSpec]:
        """Every agent with its effective settings, including removed ones."""
        result = dict(self.configured)
        for name, override in self.overrides.items():
            try:
                if override.settings:
                    result[name] = validate_agent(
                        name, with_overrides(self.configured_settings(name), override.settings)
                    )
            except InvalidSettings:
                continue  # the file has changed since and wins; `override_problem` reports it
        return result

    @cached_property
    def agents(self) -> dict[str, AgentSpec]:
        """The agents that take part, with their effective settings."""
        return {name: agent for name, agent in self.all_agents.items() if self.mode(name) != "removed"}

    def mode(self, name: str) -> AgentMode | None:
        """Whether a person drained or removed it."""
        override = self.overrides.get(name)
        return override.status if override else None

    def unavailable_reason(self, name: str) -> str | None:
        """Why it takes no new task because of a person's decision."""
        return _DRAINING_REASON if self.mode(name) == "draining" else None

    def override_problem(self, name: str) -> str | None:
        """Why a change no longer applies: the file was changed, and the two do not fit."""
        override = self.overrides.get(name)
        if override is None or not override.settings:
            return None
        try:
            validate_agent(name, with_overrides(self.configured_settings(name), override.settings))
        except InvalidSettings as error:
            return str(error)
        return None

    def configured_settings(self, name: str) -> dict[str, Any]:
        """The settings in the file; empty for an agent that is in no file."""
        agent = self.configured.get(name)
        return agent.model_dump(mode="json", exclude_unset=True) if agent else {}


def with_overrides(settings: AgentSettings, overrides: AgentSettings) -> dict[str, Any]:
    """Settings merged over others; None removes a key."""
    return {key: value for key, value in {**settings, **overrides}.items() if value is not None}


def validate_agent(name: str, settings: AgentSettings) -> AgentSpec:
    """The agent with these settings, checked by the same strict rules as in the file.

    Raises `InvalidSettings`.
    """
    text = json.dumps({"version": 1, "agents": {name: dict(settings)}})
    try:
        return parse_model(ServiceAgents, text, "agents").agents[name]
    except ConfigError as error:
        messages = (
            str(problem).replace(f"`agents.{name}.", "`").replace(f"`agents.{name}`: ", "")
            for problem in error.problems
        )
        raise InvalidSettings("; ".join(messages)) from None


def read_settings(text: str, adapter: str | None = None) -> dict[str, Any]:
    """Parse settings: `adapter=actions workflow=agent.yml capabilities=python,tests max_tasks=2`.

    An empty value (`ref=`) is None: the key is removed. `adapter` is the kind of agent, unless the text names it.
    `validate_agent` checks the values. Raises `InvalidSettings` for text that is no settings.
    """
    try:
        words = shlex.split(re.sub(r"\s*,\s*", ",", text))
    except ValueError:
        raise InvalidSettings("a quotation mark is not closed") from None
    pairs: dict[str, str] = {}
    for word in words:
        key, separator, value = word.partition("=")
        if not separator or not key:
            raise InvalidSettings(f"{quote(word)} is not a setting: write `key=value`, such as `max_tasks=2`")
        if key in pairs:
            raise InvalidSettings(f"{quote(key)} appears twice")
        pairs[key] = value
    kind = AGENT_KINDS.get(pairs.get("adapter") or adapter or "", AgentBase)
    return {key: _parse_value(kind, key, value) if value else None for key, value in pairs.items()}


def _parse_value(kind: type[AgentBase], key: str, text: str) -> Any:
    """The text as the type that the model has: a list, a number, or text. Invalid values stay text and are rejected
    later.
    """
    model_field = kind.model_fields.get(key)
    if model_field is None:
        return text
    if get_origin(model_field.annotation) is tuple:
        return [part for part in text.strip("[]").split(",") if part]
    if model_field.annotation in (int, float, bool):
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text


def suggest_agent(word: str, names: Mapping[str, object]) -> str:
    """The existing agents, as a hint for a user who named an unknown one."""
    if suggestion := nearest_word(word, names):
        return f"Did you mean `{suggestion}`?"
    return f"There are {', '.join(f'`{name}`' for name in names)}." if names else "There are no agents yet."
