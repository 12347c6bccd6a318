"""Describes how each family of agents appears on GitHub (account, branches), from `identities.yml`.

The `account` that a repository's configuration gives an agent overrides the table.
"""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from config.agent_kinds import AgentBase, CopilotAgent, HttpAgent, MentionAgent
from config.yaml_reader import read_yaml

IDENTITIES_FILE: Final = Path(__file__).with_name("identities.yml")


class Family(BaseModel):
    """The account and the branches of one family of agents."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: int = Field(gt=0)
    login: str
    branches: tuple[str, ...]
    second_hand: tuple[Literal["id", "login", "branches"], ...] = ()  # facts from other sources, not verified by us


_FAMILIES: Final = TypeAdapter(dict[str, Family])


@cache
def load_families() -> dict[str, Family]:
    """The families by name (`claude`, `codex`, …).

    Raises ConfigError or pydantic's ValidationError if the file, which ships with the program, is invalid.
    """
    return _FAMILIES.validate_python(read_yaml(IDENTITIES_FILE.read_text(encoding="utf-8"), str(IDENTITIES_FILE)).data)


@cache
def _family_by_account_id() -> dict[int, str]:
    return {family.id: name for name, family in load_families().items()}


def account_family(user_id: int) -> str | None:
    """The family with this account."""
    return _family_by_account_id().get(user_id)


def is_in_family(agent: str, family: str) -> bool:
    """Whether a configured agent belongs to this family by name: `claude` and `claude-…` are Claude."""
    return agent == family or agent.startswith(f"{family}-")


@cache
def _branch_patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple(
        (name, re.compile(re.escape(branch).replace("<issue>", "(?P<issue>[1-9][0-9]{0,8})"), re.ASCII))
        for name, family in load_families().items()
        for branch in family.branches
    )


def branch_family(branch: str) -> str | None:
    """The family whose branch prefix this branch has."""
    return next((name for name, pattern in _branch_patterns() if pattern.match(branch)), None)


def branch_issue_number(branch: str) -> int | None:
    """The issue that a family's branch names (`claude/issue-12-…`)."""
    for _, pattern in _branch_patterns():
        if "issue" in pattern.groupindex and (match := pattern.match(branch)):
            return int(match["issue"])
    return None


def agent_family(name: str, spec: AgentBase) -> str | None:
    """The family of a configured agent: by its kind, its mention or preset, else by its name."""
    if isinstance(spec, CopilotAgent):
        return "copilot"
    families = load_families()
    product_name = spec.mention.removeprefix("@").lower() if isinstance(spec, MentionAgent) else ""
    if isinstance(spec, HttpAgent):
        product_name = spec.preset or ""
    if product_name in families:
        return product_name
    return next((family for family in families if is_in_family(name, family)), None)


def agent_account_id(name: str, spec: AgentBase) -> int | None:
    """The numeric id of the account that an agent uses; None if unknown."""
    if spec.account is not None:
        return spec.account
    family = agent_family(name, spec)
    return load_families()[family].id if family else None


def agents_of_account(
    agents: Mapping[str, AgentBase], user_id: int, *, is_bot: bool, branch: str = ""
) -> tuple[str, ...] | None:
    """The configured agents that this can be: the author of a comment as `user_id`, or of a change on `branch`.

    None if it is no agent's account; empty if it is one, but of no configured agent. A bot whose id is not in the table
    is recognised by its branch; a person never is, because any user may name a branch. Logins never count.
    """
    matching = tuple(name for name, spec in agents.items() if spec.account == user_id)
    if matching:
        return matching
    family = account_family(user_id)
    if family is None and is_bot:
        family = branch_family(branch)
    if family is None:
        return None
    return tuple(
        agent for agent, spec in agents.items() if spec.account is None and agent_family(agent, spec) == family
    )
