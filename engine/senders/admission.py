"""Admits an effect's first write before anything is read for it, so that nothing is read for a write that has to wait.

What an effect does not write after all is given back to the budget. Further writes of one effect ask one by one.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Final

from adapters.agents.actions import PAYLOAD_LIMIT
from adapters.agents.copilot import INSTRUCTIONS_LIMIT
from adapters.github.rate_limit import RateLimitContext
from config.agent_kinds import ActionsAgent, AgentBase, CopilotAgent, MentionAgent
from core.effects.base import (
    AddReaction,
    CancelAgent,
    CheckRun,
    CloseIssue,
    ClosePull,
    Comment,
    CreateTask,
    Effect,
    EnsureLabels,
    Escalate,
    MarkReady,
    MergePull,
    MessageAgent,
    OpenTask,
    PublishRetrospective,
    SetDependency,
    SetLabels,
    StartAgent,
    UpdateBranch,
    UpsertCard,
    UpsertDigest,
)
from core.texts import handoff_pages
from engine.senders.context import SendContext

# Whether an effect's first write makes something that people read, of which GitHub counts more closely. Effects that
# only read, or write elsewhere, are not here.
_CONTENT: Final[Mapping[type[Effect], bool]] = MappingProxyType(
    {
        SetLabels: False,
        EnsureLabels: False,
        UpsertCard: True,
        UpsertDigest: True,
        Comment: True,
        AddReaction: True,
        CreateTask: True,
        CloseIssue: True,
        SetDependency: False,
        ClosePull: True,
        CheckRun: False,
        MarkReady: True,
        MergePull: False,
        UpdateBranch: False,
        PublishRetrospective: True,
        OpenTask: True,
        Escalate: True,
    }
)

_OF_AGENTS: Final = (StartAgent, MessageAgent, CancelAgent)


@asynccontextmanager
async def admitted(
    effect: Effect, errand: SendContext, passage: RateLimitContext, *, together: bool = False
) -> AsyncIterator[None]:
    """Inside, the effect's first write is certain to go; `together` with others it is one GraphQL mutation.

    Raises Throttled, before anything is read, when it has to wait.
    """
    content: bool | None = True
    if not together:
        agent = errand.repository.agent(effect.agent) if isinstance(effect, _OF_AGENTS) else None
        person = errand.services.person
        content = first_write(effect, agent, lent=person is not None and not person.is_app_token)
    if content is None:
        passage.has_started = True
        yield
        return
    async with errand.github.reserved_write(content=content):
        passage.has_started = True
        yield


def first_write(effect: Effect, agent: AgentBase | None = None, *, lent: bool = False) -> bool | None:
    """Whether the first write to GitHub counts as content; None for an effect that writes nothing there as the App.

    `agent` is the one that the effect names, `lent` that a person's token is there to write with.
    """
    match agent, effect:
        case ActionsAgent(), StartAgent():
            return len(json.dumps(effect.packet).encode()) > PAYLOAD_LIMIT  # then comments carry it
        case ActionsAgent(), CancelAgent():
            return False
        case CopilotAgent(), StartAgent():
            return True if handoff_pages(effect.packet, INSTRUCTIONS_LIMIT) else None
        case CopilotAgent(), CancelAgent() if not lent:
            return False
        case MentionAgent(comment_as="app"), StartAgent() | MessageAgent() | CancelAgent():
            return True
        case _:
            return _CONTENT.get(type(effect))
