"""The team of a repository: the agents of its file, those of the service, and what people changed at run time."""

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Final, Literal, TypeAlias, get_origin

from config.agent_kinds import AGENT_KINDS, Agent, AgentBase
from config.agents import ServiceAgents
from config.problems import ConfigError, nearest, quote
from config.validation import parse_model

Mode: TypeAlias = Literal["draining", "removed"]
Settings: TypeAlias = Mapping[str, Any]  # as in the file; a key whose value is None is taken out of the file's

_DRAINING: Final = "draining: it finishes its tasks"


class BadSettings(ValueError):
    """Settings that a person gave an agent cannot be used; the text has every mistake, with what to write instead."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a person changed of one agent while the bot runs. Neither settings nor mode: it is as the file has it."""

    by: str
    at: datetime
    settings: Settings = field(default_factory=dict)
    mode: Mode | None = None


@dataclass(frozen=True)
class Team:
    """Who there is. `agents` are handed tasks; what was removed is still known, because it may have tasks in hand."""

    listed: Mapping[str, Agent] = field(default_factory=dict)  # of the repository's file, and of the service
    of_service: frozenset[str] = frozenset()
    changes: Mapping[str, Change] = field(default_factory=dict)

    @cached_property
    def known(self) -> dict[str, Agent]:
        """Every agent with the settings that count, the removed ones among them."""
        found = dict(self.listed)
        for name, change in self.changes.items():
            try:
                if change.settings:
                    found[name] = checked(name, with_overrides(self.plain(name), change.settings))
            except BadSettings:
                continue  # the file has changed since; it counts, and `problem` says so
        return found

    @cached_property
    def agents(self) -> dict[str, Agent]:
        """The agents that take part, with the settings that count."""
        return {name: agent for name, agent in self.known.items() if self.mode(name) != "removed"}

    def mode(self, name: str) -> Mode | None:
        """Whether somebody took it out for a while or for good."""
        change = self.changes.get(name)
        return change.mode if change else None

    def unavailable(self, name: str) -> str | None:
        """Why it takes no new task, by the word of a person."""
        return _DRAINING if self.mode(name) == "draining" else None

    def problem(self, name: str) -> str | None:
        """Why a change of it no longer counts: the file was changed, and the two do not go together."""
        change = self.changes.get(name)
        if change is None or not change.settings:
            return None
        try:
            checked(name, with_overrides(self.plain(name), change.settings))
        except BadSettings as problem:
            return str(problem)
        return None

    def plain(self, name: str) -> dict[str, Any]:
        """The settings of the file; empty for an agent that stands in none."""
        agent = self.listed.get(name)
        return agent.model_dump(mode="json", exclude_unset=True) if agent else {}


def with_overrides(plain: Settings, changed: Settings) -> dict[str, Any]:
    """Settings laid over others; None takes a key out."""
    return {key: value for key, value in {**plain, **changed}.items() if value is not None}


def checked(name: str, settings: Settings) -> Agent:
    """The agent with these settings, by the same strict rules as in the file.

    Raises `BadSettings`.
    """
    text = json.dumps({"version": 1, "agents": {name: dict(settings)}})
    try:
        return parse_model(ServiceAgents, text, "agents").agents[name]
    except ConfigError as error:
        told = (
            str(problem).replace(f"`agents.{name}.", "`").replace(f"`agents.{name}`: ", "")
            for problem in error.problems
        )
        raise BadSettings("; ".join(told)) from None


def read_settings(text: str, adapter: str | None = None) -> dict[str, Any]:
    """Settings in words: `adapter=actions workflow=agent.yml capabilities=python,tests max_tasks=2`.

    What is empty (`ref=`) is None: it is taken out. `adapter` is the kind of agent, unless the words say it. Whether
    the settings are right, `checked` tells. Raises `BadSettings` for words that are no settings.
    """
    try:
        words = shlex.split(re.sub(r"\s*,\s*", ",", text))
    except ValueError:
        raise BadSettings("a quotation mark is not closed") from None
    pairs: dict[str, str] = {}
    for word in words:
        key, sign, value = word.partition("=")
        if not sign or not key:
            raise BadSettings(f"{quote(word)} is not a setting: write `key=value`, such as `max_tasks=2`")
        if key in pairs:
            raise BadSettings(f"{quote(key)} appears twice")
        pairs[key] = value
    kind = AGENT_KINDS.get(pairs.get("adapter") or adapter or "", AgentBase)
    return {key: _value(kind, key, value) if value else None for key, value in pairs.items()}


def _value(kind: type[AgentBase], key: str, text: str) -> Any:
    """The text as what the model has there: a list, a number, or text. What is wrong stays text, and is refused."""
    known = kind.model_fields.get(key)
    if known is None:
        return text
    if get_origin(known.annotation) is tuple:
        return [part for part in text.strip("[]").split(",") if part]
    if known.annotation in (int, float, bool):
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text


def nearest_agent(word: str, names: Mapping[str, object]) -> str:
    """The agents there are, as a hint for somebody who named one that there is not."""
    if near := nearest(word, names):
        return f"Did you mean `{near}`?"
    return f"There are {', '.join(f'`{name}`' for name in names)}." if names else "There are no agents yet."
