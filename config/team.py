"""The team of a repository: the agents of its file, those of the service, and what people changed at run time."""

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
AgentSettings: TypeAlias = Mapping[str, Any]  # as in the file; a key whose value is None is taken out of the file's

_DRAINING_REASON: Final = "draining: it finishes its tasks"


class InvalidSettings(ValueError):
    """Settings that a person gave an agent cannot be used; the text has every mistake, with what to write instead."""


@dataclass(frozen=True, slots=True)
class AgentOverride:
    """What a person changed of one agent while the bot runs. Neither settings nor mode: it is as the file has it."""

    changed_by: str
    changed_at: datetime
    settings: AgentSettings = field(default_factory=dict)
    mode: AgentMode | None = None


@dataclass(frozen=True)
class Team:
    """Who there is. `agents` are handed tasks; what was removed is still known, because it may have tasks in hand."""

    configured: Mapping[str, AgentSpec] = field(default_factory=dict)  # of the repository's file, and of the service
    service_agents: frozenset[str] = frozenset()
    overrides: Mapping[str, AgentOverride] = field(default_factory=dict)

    @cached_property
    def all_agents(self) -> dict[str, AgentSpec]:
        """Every agent with the settings that count, the removed ones among them."""
        result = dict(self.configured)
        for name, override in self.overrides.items():
            try:
                if override.settings:
                    result[name] = validate_agent(
                        name, with_overrides(self.configured_settings(name), override.settings)
                    )
            except InvalidSettings:
                continue  # the file has changed since; it counts, and `problem` says so
        return result

    @cached_property
    def agents(self) -> dict[str, AgentSpec]:
        """The agents that take part, with the settings that count."""
        return {name: agent for name, agent in self.all_agents.items() if self.mode(name) != "removed"}

    def mode(self, name: str) -> AgentMode | None:
        """Whether somebody took it out for a while or for good."""
        override = self.overrides.get(name)
        return override.mode if override else None

    def unavailable_reason(self, name: str) -> str | None:
        """Why it takes no new task, by the word of a person."""
        return _DRAINING_REASON if self.mode(name) == "draining" else None

    def override_problem(self, name: str) -> str | None:
        """Why a change of it no longer counts: the file was changed, and the two do not go together."""
        override = self.overrides.get(name)
        if override is None or not override.settings:
            return None
        try:
            validate_agent(name, with_overrides(self.configured_settings(name), override.settings))
        except InvalidSettings as error:
            return str(error)
        return None

    def configured_settings(self, name: str) -> dict[str, Any]:
        """The settings of the file; empty for an agent that stands in none."""
        agent = self.configured.get(name)
        return agent.model_dump(mode="json", exclude_unset=True) if agent else {}


def with_overrides(settings: AgentSettings, overrides: AgentSettings) -> dict[str, Any]:
    """Settings laid over others; None takes a key out."""
    return {key: value for key, value in {**settings, **overrides}.items() if value is not None}


def validate_agent(name: str, settings: AgentSettings) -> AgentSpec:
    """The agent with these settings, by the same strict rules as in the file.

    Raises `BadSettings`.
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
    """Settings in words: `adapter=actions workflow=agent.yml capabilities=python,tests max_tasks=2`.

    What is empty (`ref=`) is None: it is taken out. `adapter` is the kind of agent, unless the words say it. Whether
    the settings are right, `checked` tells. Raises `BadSettings` for words that are no settings.
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
    """The text as what the model has there: a list, a number, or text. What is wrong stays text, and is refused."""
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
    """The agents there are, as a hint for somebody who named one that there is not."""
    if suggestion := nearest_word(word, names):
        return f"Did you mean `{suggestion}`?"
    return f"There are {', '.join(f'`{name}`' for name in names)}." if names else "There are no agents yet."
