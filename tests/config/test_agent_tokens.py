"""The tokens of agents: who may speak for whom, and mistakes that never show one."""

import pytest
from pydantic_core import PydanticCustomError

from config.agent_tokens import AgentToken, read_agent_tokens

TOKEN = "0123456789abcdef0123456789abcdef"


def test_a_token_is_for_an_agent_everywhere_or_in_one_repository() -> None:
    found = read_agent_tokens(f"codex={TOKEN}, Acme/Shop/claude={TOKEN}==")
    assert isinstance(found, tuple)
    everywhere, here = found
    assert isinstance(everywhere, AgentToken)
    assert isinstance(here, AgentToken)
    assert everywhere.covers("acme/shop", "codex")
    assert not everywhere.covers("acme/shop", "claude")
    assert here.covers("ACME/shop", "claude")
    assert not here.covers("acme/other", "claude")
    assert here.token.get_secret_value() == f"{TOKEN}=="


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("codex", "entry (number 1) that is not agent=token"),
        (f"codex={TOKEN},", "entry (number 2) that is not agent=token"),
        (f"Codex={TOKEN}", "names no agent in entry 1"),
        (f"acme/codex={TOKEN}", "names no agent in entry 1"),
        ("codex=short", "not 32 to 500 plain characters"),
        (f"codex={TOKEN} {TOKEN}", "not 32 to 500 plain characters"),
    ],
)
def test_a_mistake_says_where_it_is_and_not_what(text: str, reason: str) -> None:
    with pytest.raises(PydanticCustomError) as raised:
        read_agent_tokens(text)
    told = str(raised.value)
    assert reason in told
    assert TOKEN not in told
