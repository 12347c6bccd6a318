"""Which deliveries are set aside at the door."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.senders import Identity
from handlers import HANDLERS
from handlers.event_filter import is_relevant

US = Identity(app_id=7, slug="mcp-orchestrator", bot_id=70)
OURS: dict[str, Any] = {"sender": {"id": 70, "login": "mcp-orchestrator[bot]"}}
THEIRS: dict[str, Any] = {"sender": {"id": 71, "login": "alice"}}


@pytest.mark.parametrize(
    ("event", "payload", "news"),
    [
        ("issues", {"action": "opened", **THEIRS}, True),
        ("issues", {"action": "labeled", **THEIRS}, True),
        ("issues", {"action": "labeled", **OURS}, False),
        ("issues", {"action": "closed", **OURS}, True),
        ("issues", {"action": "assigned", **THEIRS}, False),
        ("issue_comment", {"action": "created", **THEIRS}, True),
        ("issue_comment", {"action": "edited", **OURS}, False),
        ("issue_comment", {"action": "deleted", **THEIRS}, False),
        ("pull_request", {"action": "synchronize", **OURS}, True),
        ("pull_request", {"action": "labeled", **THEIRS}, False),
        ("pull_request_review", {"action": "submitted"}, True),
        ("pull_request_review", {"action": "edited"}, False),
        ("check_suite", {"action": "completed", "check_suite": {"app": {"id": 15368}}}, True),
        ("check_suite", {"action": "completed", "check_suite": {"app": {"id": 7}}}, False),
        ("check_suite", {"action": "completed", "check_suite": {"app": None}}, True),
        ("check_suite", {"action": "requested", "check_suite": {"app": {"id": 15368}}}, False),
        ("check_run", {"action": "requested_action", **THEIRS}, True),
        ("check_run", {"action": "completed", **THEIRS}, False),
        ("status", {"state": "pending"}, False),
        ("status", {"state": "success"}, True),
        ("workflow_run", {"workflow_run": {"event": "push", "display_title": "task/12-1 Add a total"}}, False),
        ("workflow_run", {"workflow_run": {"event": "workflow_dispatch", "display_title": "task/12-1 Add"}}, True),
        ("workflow_run", {"workflow_run": {"event": "workflow_dispatch", "display_title": "Nightly build"}}, False),
        ("push", {"ref": "refs/heads/main", **OURS}, True),
        ("installation", {"action": "deleted"}, True),
    ],
)
def test_which_deliveries_pass_the_filter(event: str, payload: dict[str, Any], news: bool) -> None:
    assert is_relevant(event, payload, US) is news


def test_every_delivery_passes_until_the_bot_knows_its_account() -> None:
    assert is_relevant("issues", {"action": "labeled", **OURS}, None)
    assert is_relevant("issue_comment", {"action": "created", **OURS}, None)
    assert is_relevant("check_suite", {"action": "completed", "check_suite": {"app": {"id": 7}}}, None)


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(
    st.sampled_from(sorted(HANDLERS)),
    st.dictionaries(st.sampled_from(("action", "state", "sender", "workflow_run", "check_suite")), json),
    st.sampled_from([None, US]),
)
def test_no_shape_is_an_error(event: str, payload: dict[str, Any], us: Identity | None) -> None:
    assert is_relevant(event, payload, us) in (True, False)
