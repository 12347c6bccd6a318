"""Whose work something is: the table of accounts and branches, and what a configuration says against it."""

import pytest

from config.agent_kinds import ActionsAgent, AgentBase, CopilotAgent, HttpAgent, MentionAgent
from config.identities import (
    account_family,
    agent_account_id,
    agent_family,
    agents_of_account,
    branch_family,
    branch_issue_number,
    is_in_family,
    load_families,
)

ACTIONS = ActionsAgent(adapter="actions", event="x")
COPILOT = CopilotAgent(adapter="copilot")
CODEX = MentionAgent(adapter="mention", mention="@codex")
OWN = MentionAgent(adapter="mention", mention="@helper", account=77)
CURSOR = HttpAgent(adapter="http", preset="cursor")
AGENTS: dict[str, AgentBase] = {"claude": ACTIONS, "claude-fast": ACTIONS, "gh": COPILOT, "x": CODEX, "own": OWN}


def test_accounts_are_known_by_number() -> None:
    assert account_family(209825114) == "claude"
    assert account_family(1) is None
    table = load_families()
    assert len({one.id for one in table.values()}) == len(table) == 6, "no number stands for two"
    assert all("id" in one.second_hand for one in table.values()), "what is known second-hand is marked"


def test_a_family_is_the_name_or_begins_it() -> None:
    assert is_in_family("claude", "claude")
    assert is_in_family("claude-fast", "claude")
    assert not is_in_family("claudette", "claude")


@pytest.mark.parametrize(
    ("branch", "family", "issue"),
    [
        ("claude/issue-12-20260302", "claude", 12),
        ("claude/issue-12", "claude", None),
        ("claude/idea", "claude", None),
        ("copilot/fix-12", "copilot", None),
        ("codex/issue-12-x", "codex", None),
        ("task/12-1", None, None),
        ("not-claude/issue-12-x", None, None),
        ("claude/issue-0-x", "claude", None),
    ],
)
def test_branches_tell_the_family_and_perhaps_the_issue(branch: str, family: str | None, issue: int | None) -> None:
    assert branch_family(branch) == family
    assert branch_issue_number(branch) == issue


def test_an_agent_s_family_follows_its_kind_before_its_name() -> None:
    assert agent_family("gh", COPILOT) == "copilot"
    assert agent_family("claude", CODEX) == "codex"
    assert agent_family("mine", CURSOR) == "cursor"
    assert agent_family("claude-fast", ACTIONS) == "claude"
    assert agent_family("aider", ACTIONS) is None
    assert agent_account_id("aider", ACTIONS) is None
    assert agent_account_id("own", OWN) == 77


@pytest.mark.parametrize(
    ("user_id", "is_bot", "branch", "found"),
    [
        (209825114, True, "whatever", ("claude", "claude-fast")),
        (198982749, True, "copilot/x", ("gh",)),
        (199175422, True, "codex/x", ("x",)),
        (77, False, "whatever", ("own",)),
        (206951365, True, "cursor/x", ()),  # an agent's account, of none that is configured
        (5, True, "codex/x", ("x",)),  # an account that the table does not have, on a branch that it has
        (5, False, "codex/x", None),  # a person may name a branch as they like
        (5, True, "feature", None),
    ],
)
def test_whose_work_it_is(user_id: int, is_bot: bool, branch: str, found: tuple[str, ...] | None) -> None:
    assert agents_of_account(AGENTS, user_id, is_bot=is_bot, branch=branch) == found


def test_what_the_configuration_says_goes_before_the_table() -> None:
    agents = {"claude": ActionsAgent(adapter="actions", event="x", account=5)}
    assert agents_of_account(agents, 5, is_bot=True, branch="x") == ("claude",)
    assert agents_of_account(agents, 209825114, is_bot=True, branch="x") == ()
