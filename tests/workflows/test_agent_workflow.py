"""The workflow and the action as files, and the workflow as a run in the sandbox."""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from adapters.agents.actions import task_in_run_name
from sandbox import Contract, ManualClock, Sandbox
from sandbox.actions.dispatch import repository_dispatch
from sandbox.actions.expressions import interpolate
from sandbox.actions.workflow import parse_workflow
from tests.workflows.agent_kit import ACTION, DATA, ROOT, make_packet, make_payload

WORKFLOW = ROOT / ".github" / "workflows" / "agent.yml"
FILES = [WORKFLOW, ACTION / "action.yml"]
# Where GitHub puts a value in as a value. In a `run:` it would become part of the script.
HARMLESS = {"env", "with", "if", "run-name", "group", "outputs", "default"}


def places(node: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every text of a document that holds an expression, with its path."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from places(value, (*path, str(key)))
    elif isinstance(node, list):
        for value in node:
            yield from places(value, path)
    elif isinstance(node, str) and "${{" in node:
        yield path, node


def injections(document: Any) -> list[str]:
    """The expressions that stand where a script, a name of an action or the like is made of them."""
    return [".".join(path) for path, _ in places(document) if not HARMLESS & set(path) or path[-1] == "run"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_no_expression_gets_into_a_script(file: Path) -> None:
    assert injections(yaml.safe_load(file.read_text())) == []


def test_an_expression_in_a_script_is_seen() -> None:
    step = {"run": "echo ${{ github.event.client_payload.packet }}", "env": {"A": "${{ inputs.task }}"}}
    assert injections({"jobs": {"work": {"steps": [step]}}}) == ["jobs.work.steps.run"]
    assert injections({"jobs": {"with": {"steps": [step]}}}) == ["jobs.with.steps.run"]


def test_the_dispatch_is_read_by_the_action_alone() -> None:
    """The workflow's own expressions look at three fields of it: those in the name of the run and of its group."""
    document = yaml.safe_load(WORKFLOW.read_text())
    seen = {path[0] for path, text in places(document) if "client_payload" in text or "inputs.task" in text}
    assert seen == {"run-name", "concurrency"}


def test_the_agent_can_only_read_and_writing_is_another_job() -> None:
    document = yaml.safe_load(WORKFLOW.read_text())
    assert document["permissions"] == {}
    work, hand_in = document["jobs"]["work"], document["jobs"]["hand-in"]
    assert set(work["permissions"].values()) == {"read"}
    assert hand_in["permissions"] == {"contents": "write", "pull-requests": "write", "issues": "write"}
    assert "AGENT_TOKEN" not in str(work)
    assert "AGENT_APP" not in str(work)
    for job in (work, hand_in):
        assert job["timeout-minutes"] <= 120
        for step in job["steps"]:
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False
    writing = [step["uses"] for step in hand_in["steps"]]
    assert writing[-1] == "./.orchestrator-action/.github/actions/run-agent"
    assert {use.split("/")[0] for use in writing[:-1]} == {"actions"}


@pytest.mark.parametrize("file", sorted((ROOT / ".github").rglob("*.yml")), ids=lambda file: file.name)
def test_actions_are_pinned_by_commit_and_say_which_version_that_is(file: Path) -> None:
    uses = re.findall(r"^ *(?:- )?uses: *(.+)$", file.read_text(), re.MULTILINE)
    assert [use for use in uses if not re.fullmatch(r"\./\S+|[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.?\d*", use)] == []


def test_the_agent_does_not_run_on_the_default_branch_unless_its_caches_are_trusted() -> None:
    work = yaml.safe_load(WORKFLOW.read_text())["jobs"]["work"]
    guard = work["steps"][0]
    assert "github.ref_name == github.event.repository.default_branch" in guard["if"]
    assert "exit 1" in guard["run"]
    assert not any("cache" in step.get("uses", "") for step in work["steps"])


def test_the_run_is_named_after_the_branch_for_either_dispatch() -> None:
    file = parse_workflow(".github/workflows/agent.yml", WORKFLOW.read_text())
    assert file.error is None
    assert file.matches_event("repository_dispatch", action="agent-task")
    payload = make_payload(make_packet(agent="codex"))
    assert set(file.inputs) == set(payload)
    strings = {key: str(value) for key, value in payload.items()}
    for event, inputs in (({"client_payload": payload}, {}), ({"inputs": strings}, strings)):
        context = {"github": {"event": event}, "inputs": inputs}
        name = interpolate(file.run_name or "", context)
        assert name == "task/12-1 codex"
        assert task_in_run_name(name) == (12, 1)
        group = yaml.safe_load(WORKFLOW.read_text())["concurrency"]["group"]
        assert interpolate(group, context) == "agent-task-12"


def test_the_actions_outputs_are_those_of_its_scripts() -> None:
    action = yaml.safe_load((ACTION / "action.yml").read_text())
    given = set[str]()
    for script in ("prepare.py", "hand_in.py"):
        (call,) = re.findall(r"\n    +give\((.*?)\n? *\)\n", (ACTION / script).read_text(), re.DOTALL)
        given |= {name.replace("_", "-") for name in re.findall(r"(\w+)=", call)}
    assert set(action["outputs"]) == given
    used = set(re.findall(r"steps\.task\.outputs\.([a-z-]+)", WORKFLOW.read_text()))
    assert used <= given


AGENT = """
set -e
test "$AGENT_BRANCH" = task/1-1
grep -q 'The cart shows a total' /dev/stdin
grep -q 'The cart shows a total' "$AGENT_PACKET"
printf 'def total(prices):\\n    return sum(prices)\\n' > cart.py
"""


def _for_the_sandbox(shelf: Path) -> str:
    """The workflow with what the sandbox does not have: a variable of the repository, and kept files."""
    text = WORKFLOW.read_text().replace("vars.AGENT_COMMAND", "'sh agent.sh'")
    document = yaml.safe_load(text)
    document["on"] = document.pop(True)
    for job in document["jobs"].values():
        for step in job["steps"]:
            if "artifact@" in step.get("uses", ""):
                here, there = '"$RUNNER_TEMP/orchestrator"', f'"{shelf}"'
                ends = (here, there) if "upload" in step["uses"] else (there, here)
                del step["uses"], step["with"]
                files = f"for file in {ends[0]}/*.bundle {ends[0]}/answer.md"
                copy = f'{files}; do test ! -f "$file" || cp "$file" {ends[1]}; done'
                step["run"] = f"mkdir -p {here} {there}; {copy}"
    return yaml.safe_dump(document)


@pytest.mark.parametrize("agent", ["shell", "codex"])
async def test_the_whole_workflow_in_the_sandbox(tmp_path: Path, agent: str) -> None:
    files = {
        ".github/workflows/agent.yml": _for_the_sandbox(tmp_path / "shelf"),
        "cart.py": "def total(prices):\n    return 0\n",
        "agent.sh": AGENT,
        **{f".github/actions/run-agent/{file.name}": file.read_text() for file in ACTION.glob("*.*")},
    }
    clock = ManualClock(datetime(2026, 3, 2, 9, 0, tzinfo=UTC))
    async with Sandbox(root=tmp_path / "hub", clock=clock, contract=Contract.load(DATA)) as hub:
        shop = hub.repository("acme/shop", files=files)
        alice = hub.user("alice")
        hub.grant(shop, alice, "write")
        issue = await alice.opens_issue(shop, "Add a total to the cart", "The cart shows a total.")
        payload = make_payload(make_packet(task=issue.number, agent=agent))
        (run,) = await repository_dispatch(hub, shop, alice, "agent-task", payload)
        await hub.wait_until_idle()

        log = "\n".join(job.log for job in run.latest_jobs)
        assert run.display_title == f"task/1-1 {agent}"
        assert hub.violations == []
        if agent == "codex":
            assert run.conclusion == "failure"
            assert "needs the secret OPENAI_API_KEY" in log
            return
        assert run.conclusion == "success", log
        pull = shop.pull(2)
        assert (pull.head_ref, pull.base_ref, pull.title) == ("task/1-1", "main", "Add a total to the cart")
        assert (pull.body or "").startswith("Closes #1\n")
        assert shop.git.read("task/1-1", "cart.py") == "def total(prices):\n    return sum(prices)\n"
