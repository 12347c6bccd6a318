"""Workflow files that cannot be an agent's, and what is said of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.agents.workflow_check import bot_problems, dispatch_problems, listens_to_event

PATH = ".github/workflows/agent.yml"
OURS = (Path(__file__).parents[2] / PATH).read_text()
INPUTS = "{task: {}, attempt: {}, agent: {}, branch: {}, base: {}, packet: {}}"
BOT = "mcp-orchestrator[bot]"


def step(uses: str, **inputs: str) -> str:
    lines = "".join(f"          {key}: {value}\n" for key, value in inputs.items())
    return f"jobs:\n  work:\n    steps:\n      - uses: {uses}\n        with:\n          x: y\n{lines}"


def test_the_workflow_that_we_give_has_everything() -> None:
    assert dispatch_problems(OURS, PATH) == []
    assert bot_problems(OURS, PATH, BOT) == []
    assert listens_to_event(OURS, PATH, "agent-task")
    assert not listens_to_event(OURS, PATH, "other")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("on: push", "has no `workflow_dispatch` trigger"),
        ("on: [push, pull_request]", "has no `workflow_dispatch` trigger"),
        ("name: x", "has no `workflow_dispatch` trigger"),
        ("- a list", "has no `workflow_dispatch` trigger"),
        ("on: workflow_dispatch", "add `task`, `attempt`, `agent`, `branch`, `base`, `packet`"),
        (f"on: {{workflow_dispatch: {{inputs: {INPUTS.replace('packet', 'payload')}}}}}", "add `packet`."),
        ("on: [unclosed", "is not a valid workflow"),
    ],
)
def test_what_a_dispatch_needs(text: str, complaint: str) -> None:
    [problem] = dispatch_problems(text, PATH)
    assert complaint in problem
    assert problem.startswith(f"`{PATH}` ")


def test_every_way_to_write_triggers_is_read() -> None:
    assert dispatch_problems(f"on: {{workflow_dispatch: {{inputs: {INPUTS}}}}}", PATH) == []
    for text in (
        "on: repository_dispatch",
        "on: [push, repository_dispatch]",
        "on: {repository_dispatch: {types: agent-task}}",
        "on: {repository_dispatch: {types: [x, agent-task]}}",
        "on:\n  repository_dispatch:\n",
    ):
        assert listens_to_event(text, PATH, "agent-task"), text
    for text in ("on: push", "on: {repository_dispatch: {types: [x]}}", "on: [", ""):
        assert not listens_to_event(text, PATH, "agent-task"), text


@pytest.mark.parametrize(
    ("uses", "key"),
    [
        ("openai/codex-action@v1", "allow-bot-users"),
        ("anthropics/claude-code-action@v1", "allowed_bots"),
    ],
)
def test_actions_that_work_for_no_bot(uses: str, key: str) -> None:
    told = f"`{uses.partition('@')[0]}` in `{PATH}` ignores bots that it does not list: add `{key}: {BOT}`."
    assert bot_problems(step(uses), PATH, BOT) == [told]
    assert bot_problems(step(uses, **{key: "other[bot], third"}), PATH, BOT) == [told]
    for fine in (BOT, "mcp-orchestrator", "other, MCP-Orchestrator[bot]", '"*"', "${{ vars.BOT }}"):
        assert bot_problems(step(uses, **{key: fine}), PATH, BOT) == [], fine


def test_other_steps_are_ignored() -> None:
    assert bot_problems(step("actions/checkout@v4"), PATH, BOT) == []
    assert bot_problems("jobs: [1, {steps: 3}]", PATH, BOT) == []
    assert bot_problems("jobs: {a: {steps: [x, {run: y}]}}", PATH, BOT) == []
    assert bot_problems("on: [", PATH, BOT) == []
