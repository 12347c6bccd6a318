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
_IS_CONTENT: Final[Mapping[type[Effect], bool]] = MappingProxyType(
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

_AGENT_EFFECTS: Final = (StartAgent, MessageAgent, CancelAgent)


@asynccontextmanager
async def reserve_first_write(
    effect: Effect, context: SendContext, rate_context: RateLimitContext, *, is_batch: bool = False
) -> AsyncIterator[None]:
    """Inside, the effect's first write is certain to go; `together` with others it is one GraphQL mutation.

    Raises Throttled, before anything is read, when it has to wait.
    """
    is_content: bool | None = True
    if not is_batch:
        agent = context.repository.agent(effect.agent) if isinstance(effect, _AGENT_EFFECTS) else None
        user_client = context.services.user_client
        is_content = first_write_is_content(
            effect, agent, has_user_token=user_client is not None and not user_client.is_app_token
        )
    if is_content is None:
        rate_context.has_started = True
        yield
        return
    async with context.github.reserved_write(content=is_content):
        rate_context.has_started = True
        yield


def first_write_is_content(
    effect: Effect, agent: AgentBase | None = None, *, has_user_token: bool = False
) -> bool | None:
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
        case CopilotAgent(), CancelAgent() if not has_user_token:
            return False
        case MentionAgent(comment_as="app"), StartAgent() | MessageAgent() | CancelAgent():
            return True
        case _:
            return _IS_CONTENT.get(type(effect))
