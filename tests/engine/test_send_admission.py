"""Which effects have their first write admitted before anything is read, and how it counts."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter

from config.agent_kinds import AGENT_KINDS, AgentBase
from core.effects.base import (
    CancelAgent,
    Comment,
    CompareBranches,
    Effect,
    MergePull,
    MessageAgent,
    Notify,
    PollAgent,
    ReadChecks,
    RefreshMirror,
    RequestTrialMerge,
    SetLabels,
    StartAgent,
)
from engine.senders import SENDERS
from engine.senders.admission import first_write_is_content
from tests.adapters.cloud_stage import PACKET
from tests.builders import NOW

# What reads GitHub only, or writes somewhere else.
NO_WRITE = {PollAgent, ReadChecks, RefreshMirror, RequestTrialMerge, CompareBranches, Notify}
OF_AGENTS = {StartAgent, MessageAgent, CancelAgent}


def start(size: int = 10) -> StartAgent:
    return StartAgent(1, 1, "codex", PACKET | {"goal": "x" * size}, NOW)


CANCEL = CancelAgent(1, 1, "codex", None)
STEER = MessageAgent(1, 1, "codex", None, NOW, "stall:1", "Push what you have.")


def agent(kind: str, **settings: object) -> AgentBase:
    made: AgentBase = TypeAdapter(AGENT_KINDS[kind]).validate_python({"adapter": kind, **settings})
    return made


def test_every_effect_is_known_to_write_or_not_to() -> None:
    undecided = set(SENDERS) - NO_WRITE - OF_AGENTS
    assert {kind for kind in undecided if first_write_is_content(object.__new__(kind)) is None} == set()
    assert {kind for kind in NO_WRITE if first_write_is_content(object.__new__(kind)) is not None} == set()


@pytest.mark.parametrize(
    ("effect", "content"),
    [
        (SetLabels(1, ("task",)), False),
        (Comment(1, "topic", "Words."), True),
        (MergePull(1, 2, "a" * 40, "squash", "Title", 1), False),
    ],
)
def test_what_people_read_counts_as_content(effect: Effect, content: bool) -> None:
    assert first_write_is_content(effect) is content


@pytest.mark.parametrize(
    ("spec", "effect", "lent", "content"),
    [
        (agent("actions", event="agent-task"), start(), False, False),
        (agent("actions", event="agent-task"), start(70_000), False, True),
        (agent("actions", event="agent-task"), CANCEL, False, False),
        (agent("actions", event="agent-task"), STEER, False, None),
        (agent("mention", mention="@codex"), start(), False, True),
        (agent("mention", mention="@codex"), STEER, False, True),
        (agent("mention", mention="@codex", comment_as="person"), start(), True, None),
        (agent("copilot"), start(), True, None),
        (agent("copilot"), CANCEL, True, None),
        (agent("copilot"), CANCEL, False, False),
        (agent("pull"), start(), False, None),
        (None, start(), False, None),
    ],
)
def test_a_start_counts_by_how_the_agent_is_reached(
    spec: AgentBase | None, effect: Effect, lent: bool, content: bool | None
) -> None:
    assert first_write_is_content(effect, spec, has_user_token=lent) is content
