"""The pages about agents cannot go stale: their packet is made by the code, their YAML is read by the code.

After a change of the packet: `UPDATE_DOCS=1 pytest tests/workflows/test_agents_docs.py`.
"""

import json
import os
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from adapters.agents.actions import task_in_run_name
from config.agent_kinds import AGENT_KINDS
from config.repository import parse_repository_config
from core.handoff.feedback import FailedCheck, Feedback
from core.handoff.packet import DependencyResult, build_packet
from core.intake.parser import AcceptanceCriterion, DependencyReference, ParsedIssue
from core.intake.references import branch_name
from core.task.model import Actor, Attempt, ChecksState, Kind, Lease, Plan, Priority, Pull, Role, Status, Task
from core.texts import comment_marker, packet_comments
from sandbox.actions.expressions import interpolate
from tests.workflows.agent_kit import ROOT, Stage, git

DOCS = ROOT / "docs" / "handoff.md"
AGENTS = ROOT / "docs" / "agents.md"
PAGES = (AGENTS, ROOT / "docs" / "other-agents.md")
BLOCK = re.compile(r"(<!-- packet: [^\n]*-->\n```json\n)(.*?)(```\n<!-- end of packet -->)", re.DOTALL)
NINE = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
TEN = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
PLAN = Role.PLAN
MERGED = DependencyResult(
    "#9", "done", "Prices are whole cents", 10, "9a1e55c0ffee00000000000000000000000000aa", ("cart.py",)
)
SHA = "6f0c3a1d5b7e9f2046c8ae13579bdf02468ace13"


def sample() -> dict[str, Any]:
    """A packet of the third attempt, after a plan and a red CI; only what there is to review is empty."""
    return build_packet(
        sample_task(), Lease("codex", 3, branch_name(12, 3), TEN), "main", "2026-03-02T10:00:05Z", [MERGED]
    )


def sample_task() -> Task:
    check = FailedCheck(
        name="test",
        url="https://github.com/acme/shop/actions/runs/77/job/99",
        step="Run pytest",
        first_error="AssertionError: assert 0 == 3",
        failing_tests=("tests/test_cart.py::test_total",),
        log_tail="E       assert 0 == 3\n1 failed in 0.12s",
    )
    feedback = Feedback("ci:1", "CI is red", "The check `test` failed.", TEN, SHA, (check,))
    return Task(
        repository_id=1,
        repository="acme/shop",
        number=12,
        issue_id=1012,
        title="Add a total to the cart",
        url="https://github.com/acme/shop/issues/12",
        author=Actor(7, "alice"),
        intake=ParsedIssue(
            goal="The cart shows what everything in it costs together.",
            criteria=(AcceptanceCriterion("total([1, 2]) is 3"), AcceptanceCriterion("an empty cart costs 0")),
            definition_of_done=(AcceptanceCriterion("the README mentions it"),),
            required=("python",),
            preferred=("backend",),
            dependencies=(DependencyReference(None, 9),),
            files=("cart.py", "tests/"),
            estimate="1 hour",
            notes="Prices are whole cents.",
        ),
        fingerprint="f",
        text_digest="d",
        issue_open=True,
        issue_updated_at=NINE,
        created_at=NINE,
        status=Status.IN_PROGRESS,
        status_since=TEN,
        priority=Priority.P1,
        kind=Kind.FUNCTIONAL,
        kind_reason="it says `shows`",
        required_capabilities=("python",),
        attempt=3,
        history=(
            Attempt(1, "chatgpt", NINE, NINE, "delivered", "delivered its plan", branch_name(12, 1), False, role=PLAN),
            Attempt(2, "codex", NINE, TEN, "failed", "CI is red", branch_name(12, 2), True, 31, SHA, feedback),
        ),
        plan=Plan("Add the prices up in `total`; begin with the test of an empty cart.", "chatgpt", 1, NINE),
    )


def for_a_reviewer() -> dict[str, Any]:
    """The same task later, when its pull request is to be reviewed."""
    pull = Pull(
        number=32,
        attempt=3,
        branch=branch_name(12, 3),
        base="main",
        head_sha=SHA[::-1],
        url="https://github.com/acme/shop/pull/32",
        author=Actor(8, "codex-agent[bot]", is_bot=True),
        updated_at=TEN,
        head_seen_at=TEN,
        checks=ChecksState.SUCCESS,
        files=("cart.py", "tests/test_cart.py"),
    )
    task = replace(sample_task(), attempt=4, status=Status.REVIEW, pull=pull)
    review = Lease("claude", 4, branch_name(12, 4), TEN, role=Role.REVIEW)
    return build_packet(task, review, "main", "2026-03-02T11:00:05Z")


def test_the_packet_in_the_docs_is_the_codes() -> None:
    text = DOCS.read_text(encoding="utf-8")
    made = json.dumps(sample(), indent=2, ensure_ascii=False) + "\n"
    if os.environ.get("UPDATE_DOCS"):
        DOCS.write_text(BLOCK.sub(lambda found: found[1] + made + found[3], text), encoding="utf-8")
        text = DOCS.read_text(encoding="utf-8")
    (shown,) = BLOCK.finditer(text)
    assert shown[2] == made, "run UPDATE_DOCS=1 pytest tests/workflows/test_agents_docs.py"


def test_every_key_of_the_packet_is_explained() -> None:
    table = DOCS.read_text(encoding="utf-8").split("<!-- end of packet -->")[1].split("\n\nA dispatch")[0]
    first_cells = [row.split("|")[1] for row in table.splitlines() if row.startswith("| `")]
    explained = {key for cell in first_cells for key in re.findall(r"`(\w+)`", cell)}
    assert explained == set(sample())


@pytest.mark.parametrize("made", [sample, for_a_reviewer])
def test_the_action_takes_the_real_packet_and_tells_all_of_it(stage: Stage, made: Callable[[], dict[str, Any]]) -> None:
    order = made()
    if about := order["pull_request"]:
        git(stage.seed_folder, "switch", "-q", "-C", about["branch"])
        about["head_sha"] = stage.commit_to(about["branch"], "cart.py", "total = sum\n")
        stage.new_job("review")
    keys = ("attempt", "agent", "branch", "base")
    stage.event = {"client_payload": {"task": 12, **{key: order[key] for key in keys}, "packet": order}}
    prepared = stage.prepare()
    assert prepared.status == 0, prepared.output
    text = Path(prepared.outputs["handoff"]).read_text(encoding="utf-8")

    def words(value: Any) -> list[str]:
        if isinstance(value, dict):
            return [word for one in value.values() for word in words(one)]
        return (
            [word for one in value for word in words(one)]
            if isinstance(value, list)
            else [str(value)] * (value is not None)
        )

    # How to hand in is the workflow's business; the attempt's own feedback is told once, as the last one.
    told = {k: v for k, v in order.items() if k not in ("version", "sealed_at", "report")}
    missing = [word for word in words(told) if word.strip() not in text]
    assert missing == []


def test_the_action_takes_the_comments_that_the_bot_writes(stage: Stage) -> None:
    order = sample()
    (comment,) = packet_comments(order, "codex", 3)
    keys = ("attempt", "agent", "branch", "base")
    by_reference = {"comments": [stage.api.comment(501, 12, f"{comment}{comment_marker('handoff:12:3:1')}")]}
    stage.event = {"client_payload": {"task": 12, **{key: order[key] for key in keys}, "packet": by_reference}}
    prepared = stage.prepare()
    assert prepared.status == 0, prepared.output
    assert json.loads(Path(prepared.outputs["packet"]).read_text(encoding="utf-8")) == order


def test_the_configurations_in_the_docs_are_taken() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    blocks = re.findall(r"```yaml\n(# \.github/orchestrator\.yml\n.*?)```", text, re.DOTALL)
    agents = [agent for block in blocks for agent in parse_repository_config(block).agents.values()]
    assert {agent.adapter for agent in agents} == set(AGENT_KINDS), "every kind of agent has an example"


def test_the_calling_workflow_in_the_docs_names_its_runs() -> None:
    text = AGENTS.read_text(encoding="utf-8")
    blocks = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)]
    (caller,) = [block for block in blocks if "jobs" in block]
    event = {"client_payload": {"task": 12, "attempt": 2, "agent": "codex"}}
    name = interpolate(caller["run-name"], {"github": {"event": event}, "inputs": {}})
    assert task_in_run_name(name) == (12, 2)
    ours = yaml.safe_load((ROOT / ".github" / "workflows" / "agent.yml").read_text())
    assert caller["run-name"] == ours["run-name"]
    given = set(caller["jobs"]["agent"]["with"])
    assert given == set(ours[True]["workflow_call"]["inputs"])
    assert caller["permissions"] == ours["jobs"]["hand-in"]["permissions"]
