"""Workflow runs: steps, jobs that need each other, cancel, re-run, dispatches, scripted results."""

import asyncio
import io
import os
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from sandbox import ManualClock, Sandbox
from sandbox.actions.scripted_result import ScriptedResult
from sandbox.actors.people import Person
from sandbox.state.models import Repository, WorkflowRun
from tests.sandbox.sandbox_kit import START, api, open_sandbox

HOME = "/repos/acme/shop"


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Sandbox]:
    async with open_sandbox(tmp_path) as hub:
        hub.grant(hub.repository("acme/shop"), hub.user("alice"), "write")
        events = [
            "workflow_run",
            "workflow_job",
            "check_run",
            "check_suite",
            "workflow_dispatch",
            "repository_dispatch",
        ]
        permissions = {"actions": "write", "checks": "write", "contents": "write"}
        app = hub.register_app("ears", webhook_url="http://127.0.0.1:9/", permissions=permissions, events=events)
        await hub.install(app, hub.organisation("acme"), [hub.repository("acme/shop")])
        yield hub


@pytest.fixture
def shop(hub: Sandbox) -> Repository:
    return hub.repository("acme/shop")


@pytest.fixture
def alice(hub: Sandbox) -> Person:
    return hub.user("alice")


async def pushed(hub: Sandbox, workflow: str, **files: str) -> WorkflowRun:
    """Push a workflow file and return the run that it starts, after its end."""
    shop = hub.repository("acme/shop")
    await hub.user("alice").pushes(shop, "main", {".github/workflows/ci.yml": workflow, **files})
    await hub.wait_until_idle()
    return max(shop.runs.values(), key=lambda run: run.id)


async def test_steps_pass_values_to_later_steps(hub: Sandbox) -> None:
    run = await pushed(
        hub,
        """
name: CI
on: push
env: {GREETING: Hello}
jobs:
  first:
    runs-on: ubuntu-latest
    outputs: {word: "${{ steps.say.outputs.word }}"}
    steps:
      - uses: actions/checkout@v4
      - id: say
        run: |
          echo "word=$GREETING $GITHUB_REF_NAME" >> "$GITHUB_OUTPUT"
          echo "LATER=yes" >> "$GITHUB_ENV"
          ls README.md
      - run: test "$LATER" = yes
        working-directory: .github
      - run: echo never
        if: failure()
      - uses: someone/unknown@v1
  second:
    needs: first
    runs-on: ubuntu-latest
    steps:
      - run: 'echo "got ${{ needs.first.outputs.word }} from ${{ github.actor }}"'
""",
    )
    first, second = run.jobs
    assert run.conclusion == "success", first.log
    assert [step.conclusion for step in first.steps] == [
        "success",
        "success",
        "success",
        "success",
        "skipped",
        "success",
        "success",
    ]
    assert "got Hello main from alice" in second.log
    assert "The action someone/unknown@v1 is not available in the sandbox" in first.log


async def test_a_composite_action_of_the_repository_runs(hub: Sandbox) -> None:
    action = """
name: Greet
inputs: {who: {default: world}, again: {default: "no"}}
outputs: {text: {value: "${{ steps.make.outputs.text }}"}}
runs:
  using: composite
  steps:
    - {id: make, shell: bash, run: 'echo "text=Hello ${{ inputs.who }}" >> "$GITHUB_OUTPUT"'}
    - {if: "inputs.again == 'yes'", shell: bash, run: 'test -f "$GITHUB_ACTION_PATH/action.yml" && exit 4'}
"""
    workflow = """
on: push
jobs:
  a:
    runs-on: x
    steps:
      - uses: actions/checkout@v4
      - {uses: ./.github/actions/greet, id: greet, with: {who: "${{ github.actor }}"}}
      - run: echo "it said ${{ steps.greet.outputs.text }}"
      - {uses: ./.github/actions/greet, with: {again: "yes"}}
      - {uses: ./nowhere, if: always()}
"""
    run = await pushed(hub, workflow, **{".github/actions/greet/action.yml": action})
    (job,) = run.jobs
    assert "it said Hello alice" in job.log
    assert "exit code 4" in job.log
    assert "there is no action.yml" in job.log
    assert [step.conclusion for step in job.steps[1:-1]] == ["success"] * 3 + ["failure"] * 2


async def test_leaving_the_sandbox_ends_running_jobs(tmp_path: Path) -> None:
    told = tmp_path / "told"
    os.mkfifo(told)
    async with Sandbox(root=tmp_path / "hub", clock=ManualClock(START)) as hub:
        shop = hub.repository("acme/shop")
        hub.grant(shop, hub.user("alice"), "write")
        steps = f"on: push\njobs: {{a: {{runs-on: x, steps: [{{run: 'echo $$ > {told}; sleep 600'}}]}}}}\n"
        await hub.user("alice").pushes(shop, "main", {".github/workflows/ci.yml": steps})
        pid = int(await asyncio.to_thread(told.read_text))
        os.kill(pid, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_a_failed_job_skips_the_jobs_that_need_it_except_with_always(hub: Sandbox) -> None:
    run = await pushed(
        hub,
        """
on: push
jobs:
  bad: {runs-on: x, steps: [{run: "echo no; exit 3"}, {run: echo after}]}
  next: {needs: bad, runs-on: x, steps: [{run: echo next}]}
  report: {needs: [bad, next], if: always(), runs-on: x, steps: [{run: "echo ${{ needs.bad.result }}"}]}
  soft: {runs-on: x, steps: [{run: exit 1, continue-on-error: true}, {run: echo fine}]}
""",
    )
    found = {job.name: job.conclusion for job in run.jobs}
    assert found == {"bad": "failure", "next": "skipped", "report": "success", "soft": "success"}
    assert run.conclusion == "failure"
    assert "##[error]Process completed with exit code 3." in run.jobs[0].log
    assert "echo after" not in run.jobs[0].log
    assert [check.conclusion for check in hub.repository("acme/shop").check_runs(run.head_sha)] == [
        "failure",
        "skipped",
        "success",
        "success",
    ]


async def test_a_run_of_an_invalid_workflow_file_fails_at_once(hub: Sandbox) -> None:
    run = await pushed(hub, "on: push\njobs: {a: {runs-on: x, steps: [{run: ls, uses: y}]}}\n")
    assert (run.status, run.conclusion, run.jobs) == ("completed", "failure", [])


async def test_no_run_starts_while_a_pull_request_has_conflicts(hub: Sandbox, shop: Repository, alice: Person) -> None:
    workflow = "on: pull_request\njobs: {a: {runs-on: x, steps: [{run: 'true'}]}}\n"
    await alice.pushes(shop, "main", {".github/workflows/ci.yml": workflow, "a": "1\n"})
    await alice.pushes(shop, "work", {"a": "2\n"})
    await alice.pushes(shop, "main", {"a": "3\n"})
    await alice.opens_pull(shop, head="work", title="Two")
    await hub.wait_until_idle()
    assert shop.runs == {}
    await alice.pushes(shop, "work", {"a": "1\n"}, "Give way")
    await hub.wait_until_idle()
    assert [(run.event, run.conclusion) for run in shop.runs.values()] == [("pull_request", "success")]


async def test_a_ci_script_decides_the_result_and_a_rerun_repeats_it(
    hub: Sandbox, shop: Repository, alice: Person
) -> None:
    verdicts = [ScriptedResult.failure(step="tests", log="E   assert 1 == 2"), ScriptedResult.success(seconds=30)]
    hub.set_ci_script(
        shop, lambda run: verdicts[run.attempt - 1] if run.event == "pull_request" else ScriptedResult.success()
    )
    await alice.pushes(shop, "work", {"a": "1\n"})
    pull = await alice.opens_pull(shop, head="work", title="One")
    await hub.wait_until_idle()
    run = max(shop.runs.values(), key=lambda run: run.id)
    assert (run.event, run.conclusion, run.pulls) == ("pull_request", "failure", [pull])
    assert "E   assert 1 == 2" in run.jobs[0].log
    token = hub.create_token(alice)
    shown = await api(hub, token, "GET", f"{HOME}/pulls/1")
    assert shown["mergeable_state"] == "unstable"
    await api(hub, token, "POST", f"{HOME}/actions/runs/{run.id}/rerun-failed-jobs", status=201)
    await hub.wait_until_idle()
    assert (run.attempt, run.status) == (2, "in_progress")
    hub.clock.advance(30)  # type: ignore[attr-defined]  # the fixture's clock is a ManualClock
    await hub.wait_until_idle()
    assert run.conclusion == "success"
    earlier = await api(hub, token, "GET", f"{HOME}/actions/runs/{run.id}/attempts/1")
    assert (earlier["run_attempt"], earlier["conclusion"]) == (1, "failure")
    assert (await api(hub, token, "GET", f"{HOME}/pulls/1"))["mergeable_state"] == "clean"


async def test_logs_are_served_at_a_signed_address_that_expires(hub: Sandbox) -> None:
    run = await pushed(hub, "on: push\njobs: {a: {runs-on: x, steps: [{run: echo hello}]}}\n")
    token, home = hub.create_token(hub.user("alice")), f"{HOME}/actions"
    one = f"{home}/runs/{run.id}"
    archive = zipfile.ZipFile(io.BytesIO(await api(hub, token, "GET", f"{one}/logs")))
    assert "hello" in archive.read("0_a.txt").decode()
    assert len((await api(hub, token, "GET", f"{one}/attempts/1/jobs"))["jobs"]) == 1
    assert (await api(hub, token, "GET", f"{home}/jobs/{run.jobs[0].id}"))["name"] == "a"
    ticket = hub.workflow_index.sign(f"job {run.repository.id} {run.jobs[0].id}")
    assert "hello" in await api(hub, token, "GET", f"/_logs/{ticket}")
    hub.clock.advance(61)  # type: ignore[attr-defined]  # the fixture's clock is a ManualClock
    await api(hub, token, "GET", f"/_logs/{ticket}", status=404)
    await api(hub, token, "DELETE", f"{one}/logs", status=204)
    await api(hub, token, "GET", f"{home}/jobs/{run.jobs[0].id}/logs", status=404)
    await api(hub, token, "DELETE", one, status=204)
    await api(hub, token, "GET", one, status=404)


async def test_a_run_can_be_cancelled(hub: Sandbox, alice: Person) -> None:
    shop = hub.repository("acme/shop")
    hub.set_ci_script(shop, lambda _: ScriptedResult.success(seconds=3600))
    await alice.pushes(shop, "main", {"a": "1\n"})
    await hub.wait_until_idle()
    (run,) = shop.runs.values()
    token = hub.create_token(alice)
    await api(hub, token, "POST", f"{HOME}/actions/runs/{run.id}/rerun", status=403)
    await api(hub, token, "POST", f"{HOME}/actions/runs/{run.id}/cancel", status=202)
    await hub.wait_until_idle()
    assert (run.status, run.conclusion, run.jobs[0].conclusion) == ("completed", "cancelled", "cancelled")
    await api(hub, token, "POST", f"{HOME}/actions/runs/{run.id}/cancel", status=409)


DISPATCHED = """
name: agent
run-name: "${{ inputs.agent }} takes ${{ inputs.task }}"
on:
  workflow_dispatch:
    inputs:
      agent: {required: true, type: choice, options: [codex, claude]}
      task: {default: "7"}
jobs:
  work: {runs-on: x, steps: [{run: 'echo "agent ${{ inputs.agent }} task ${{ github.event.inputs.task }}"'}]}
"""


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"ref": "gone"}, "No ref found for: gone"),
        ({"ref": "main", "inputs": {"agent": "codex", "colour": "red"}}, "Unexpected inputs provided"),
        ({"ref": "main"}, "Required input 'agent' not provided"),
        ({"ref": "main", "inputs": {"agent": "eliza"}}, "not in the list of allowed values"),
    ],
)
async def test_an_invalid_dispatch_is_refused(hub: Sandbox, alice: Person, body: dict[str, Any], message: str) -> None:
    await alice.pushes(hub.repository("acme/shop"), "main", {".github/workflows/agent.yml": DISPATCHED})
    path = f"{HOME}/actions/workflows/agent.yml/dispatches"
    answer = await api(hub, hub.create_token(alice), "POST", path, body, status=422)
    assert message in answer["message"]


async def test_a_workflow_dispatch_returns_its_run(hub: Sandbox, shop: Repository, alice: Person) -> None:
    files = {
        ".github/workflows/agent.yml": DISPATCHED,
        ".github/workflows/ci.yml": "on: push\njobs: {a: {runs-on: x, steps: [{run: 'true'}]}}",
    }
    await alice.pushes(shop, "main", files)
    token, home = hub.create_token(alice), f"{HOME}/actions/workflows"
    await api(hub, token, "POST", f"{home}/ci.yml/dispatches", {"ref": "main"}, status=422)
    await api(hub, token, "POST", f"{home}/none.yml/dispatches", {"ref": "main"}, status=404)
    body = {"ref": "main", "inputs": {"agent": "codex"}, "return_run_details": True}
    told = await api(hub, token, "POST", f"{home}/agent.yml/dispatches", body)
    await hub.wait_until_idle()
    run = shop.runs[told["workflow_run_id"]]
    assert (run.display_title, run.conclusion, run.inputs) == (
        "codex takes 7",
        "success",
        {"agent": "codex", "task": "7"},
    )
    listed = await api(hub, token, "GET", f"{home}/agent.yml/runs?status=success")
    assert [one["id"] for one in listed["workflow_runs"]] == [run.id]
    assert [one["name"] for one in (await api(hub, token, "GET", home))["workflows"]] == [
        "agent",
        ".github/workflows/ci.yml",
    ]
    await api(hub, token, "PUT", f"{home}/agent.yml/disable", status=204)
    await api(hub, token, "POST", f"{home}/agent.yml/dispatches", body, status=422)


async def test_a_repository_dispatch_has_limits_and_needs_no_workflow(
    hub: Sandbox, shop: Repository, alice: Person
) -> None:
    token = hub.create_token(alice)
    many = {"event_type": "x", "client_payload": {str(number): 1 for number in range(11)}}
    large = {"event_type": "x", "client_payload": {"text": "x" * 65_536}}
    for body in (many, large):
        await api(hub, token, "POST", f"{HOME}/dispatches", body, status=422)
    hub.violations.clear()  # GitHub's description has the first of those limits
    await api(hub, token, "POST", f"{HOME}/dispatches", {"event_type": "x"}, status=204)
    assert shop.runs == {}
    assert hub.deliveries[-1].payload["client_payload"] == {}


async def test_a_push_with_the_run_token_starts_no_run(hub: Sandbox, shop: Repository) -> None:
    run = await pushed(
        hub,
        """
on: push
jobs:
  a:
    runs-on: x
    steps:
      - uses: actions/checkout@v4
      - run: |
          git config user.name robot && git config user.email robot@example.com
          echo 1 > made && git add made && git commit --quiet -m made
          git push --quiet origin HEAD:refs/heads/made
""",
    )
    assert run.conclusion == "success", run.jobs[0].log
    assert shop.git.read("made", "made") == "1\n"
    assert list(shop.runs.values()) == [run]
