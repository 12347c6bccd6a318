"""From a dispatch to a pull request: the scripts of `.github/actions/run-agent` with real git."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.workflows.agent_kit import ACTION, APP_TOKEN, RUN_TOKEN, Stage, git, make_packet, make_payload


def test_work_goes_from_the_dispatch_to_a_pull_request(stage: Stage) -> None:
    prepared = stage.prepare(process=True)
    assert prepared.status == 0, prepared.output
    outputs = prepared.outputs
    assert (outputs["kind"], outputs["branch"], outputs["base"]) == ("codex", "task/12-1", "main")
    assert git(stage.job_folder, "branch", "--show-current") == "task/12-1"
    assert git(stage.job_folder, "status", "--porcelain") == ""
    assert json.loads(Path(outputs["packet"]).read_text()) == make_packet()
    assert "total([1, 2]) is 3" in Path(outputs["handoff"]).read_text()

    stage.write_change()
    stage.write_change("new file.txt", "also this\n")
    assert stage.collect(prepared, process=True).status == 0
    stage.new_job("hand-in")
    handed = stage.hand_in(process=True)
    assert handed.status == 0, handed.output

    shown = git(stage.origin_path, "log", "--format=%an|%s|%b", "--name-only", "main..task/12-1")
    assert shown.split() == (
        [
            "codex",
            "(agent)|Add",
            "a",
            "total",
            "to",
            "the",
            "cart|Task",
            "12,",
            "attempt",
            "1,",
            "by",
            "codex.",
            "cart.py",
            "new",
            "file.txt",
        ]
    )
    (pull,) = stage.api.pulls
    assert pull["title"] == "Add a total to the cart"
    assert (pull["head"], pull["base"]) == ("task/12-1", "main")
    assert pull["body"].splitlines()[0] == "Closes #12"
    assert handed.outputs == {"pull-request": pull["html_url"]}
    assert {token for _, _, token in stage.api.requests} == {APP_TOKEN}


def test_a_workflow_dispatch_carries_the_same_as_strings(stage: Stage) -> None:
    packet = make_packet(agent="claude-2")
    inputs = {k: v if isinstance(v, str) else json.dumps(v) for k, v in make_payload(packet).items()}
    stage.event = {"inputs": inputs, "ref": "refs/heads/main"}
    prepared = stage.prepare()
    assert prepared.outputs["kind"] == "claude"
    assert json.loads(Path(prepared.outputs["packet"]).read_text()) == packet


def test_an_agent_of_another_name_is_run_by_the_command(stage: Stage) -> None:
    stage.event = {"client_payload": make_payload(make_packet(agent="codexter"))}
    assert stage.prepare().outputs["kind"] == "command"


def test_an_agent_may_commit_by_itself_and_its_hooks_do_not_run(stage: Stage) -> None:
    prepared = stage.prepare()
    stage.write_change()
    git(stage.job_folder, "commit", "-q", "-a", "-m", "First the total")
    stage.write_change("second.txt", "2\n")
    hook = stage.job_folder / ".git" / "hooks" / "pre-commit"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    assert stage.collect(prepared).status == 0
    stage.new_job("hand-in")
    assert stage.hand_in().status == 0
    subjects = git(stage.origin_path, "log", "--format=%s", "--reverse", "main..task/12-1").splitlines()
    assert subjects == ["First the total", "Add a total to the cart"]


def test_nothing_changed_fails_and_says_so(stage: Stage) -> None:
    prepared = stage.prepare()
    assert "changed nothing" in stage.collect(prepared).error
    git(stage.job_folder, "commit", "-q", "--allow-empty", "-m", "Looks good already")
    assert "changed nothing" in stage.collect(prepared).error
    stage.new_job("hand-in")
    assert "There is no work" in stage.hand_in().error
    assert list(stage.branches) == ["main"]
    assert stage.api.pulls == []


def test_the_checkout_of_the_action_is_never_committed(stage: Stage) -> None:
    prepared = stage.prepare()
    git(stage.job_folder, "clone", "-q", str(stage.origin_path), ".orchestrator-action")
    assert git(stage.job_folder, "status", "--porcelain") == ""
    (stage.job_folder / ".git" / "info" / "exclude").write_text("")  # an agent may do that
    stage.write_change()
    assert stage.collect(prepared).status == 0
    assert git(stage.job_folder, "diff", "--name-only", "origin/main...HEAD") == "cart.py"


def test_rewritten_history_is_refused(stage: Stage) -> None:
    prepared = stage.prepare()
    git(stage.job_folder, "switch", "-q", "--orphan", "mine")
    stage.write_change()
    assert "rewrote the history" in stage.collect(prepared).error


def test_a_failed_hand_in_can_be_run_again(stage: Stage) -> None:
    stage.prepare_hand_in()
    stage.api.next_failures = ["403"]
    assert "may not open pull requests" in stage.hand_in().error
    pushed = stage.branches["task/12-1"]
    assert stage.hand_in().status == 0
    assert stage.hand_in().status == 0
    assert stage.branches["task/12-1"] == pushed
    assert len(stage.api.pulls) == 1


@pytest.mark.parametrize("trouble", [["500"], ["lost"], ["500", "lost"]])
def test_an_unclear_answer_opens_one_pull_request(stage: Stage, trouble: list[str]) -> None:
    stage.prepare_hand_in()
    stage.api.next_failures = trouble
    assert stage.hand_in().status == 0
    assert len(stage.api.pulls) == 1


def test_a_server_that_stays_down_fails_the_step(stage: Stage) -> None:
    stage.prepare_hand_in()
    stage.api.next_failures = ["500"] * 3
    assert "GitHub answered 500" in stage.hand_in().error
    assert [method for method, _, _ in stage.api.requests].count("POST") == 3


def test_the_token_does_not_follow_a_redirect(stage: Stage) -> None:
    stage.prepare_hand_in()
    stage.api.next_failures = ["redirect"]
    assert "GitHub answered 307" in stage.hand_in().error
    assert not [path for _, path, _ in stage.api.requests if "elsewhere" in path]


def test_other_work_on_the_branch_is_never_pushed_over(stage: Stage) -> None:
    stage.prepare_hand_in()
    theirs = stage.commit_to("task/12-1", "theirs.txt", "mine was first\n")
    assert "nothing was pushed" in stage.hand_in().error
    assert stage.branches["task/12-1"] == theirs
    assert stage.api.pulls == []


def test_a_run_again_goes_on_from_what_is_pushed(stage: Stage) -> None:
    before = stage.commit_to("task/12-1", "half.txt", "half of it\n")
    stage.new_job("again")
    prepared = stage.prepare()
    assert prepared.outputs["start-sha"] == before
    assert prepared.outputs["base-sha"] != before
    stage.write_change()
    assert stage.collect(prepared).status == 0
    stage.new_job("hand-in")
    assert stage.hand_in().status == 0
    assert git(stage.origin_path, "rev-list", "--count", "main..task/12-1") == "2"


def test_work_that_was_pushed_but_not_handed_in_is_handed_in(stage: Stage) -> None:
    stage.commit_to("task/12-1", "all.txt", "all of it\n")
    stage.new_job("again")
    prepared = stage.prepare()
    assert stage.collect(prepared).status == 0
    stage.new_job("hand-in")
    assert stage.hand_in().status == 0
    assert len(stage.api.pulls) == 1


def test_an_attempt_that_was_overtaken_is_refused(stage: Stage) -> None:
    stage.prepare_hand_in()
    stage.commit_to("task/12-2", "newer.txt", "newer\n")
    stage.commit_to("task/123-4", "other.txt", "another task\n")
    assert "Attempt 2 at task 12 was handed in before this one" in stage.hand_in().error
    assert "task/12-1" not in stage.branches


def test_a_base_that_went_on_is_no_obstacle(stage: Stage) -> None:
    prepared = stage.prepare()
    stage.write_change()
    assert stage.collect(prepared).status == 0
    git(stage.seed_folder, "switch", "-q", "main")
    stage.commit_to("main", "elsewhere.txt", "another author's\n")
    stage.new_job("hand-in")
    assert stage.hand_in().status == 0
    assert git(stage.origin_path, "diff", "--name-only", "main...task/12-1") == "cart.py"


def test_a_refusing_hook_at_the_origin_is_reported(stage: Stage) -> None:
    stage.prepare_hand_in()
    hook = stage.origin_path / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho 'refusing to allow an App to update workflow .github/w/ci.yml' >&2\nexit 1\n")
    hook.chmod(0o755)
    assert "the permission `workflows`" in stage.hand_in().error


def test_the_runs_own_token_is_used_with_a_warning(stage: Stage) -> None:
    stage.prepare_hand_in()
    handed = stage.hand_in(token=RUN_TOKEN)
    assert handed.status == 0
    assert "::warning::" in handed.output
    assert "AGENT_TOKEN" in handed.output


def test_a_hostile_title_is_only_a_title(stage: Stage) -> None:
    title = (
        "`touch pwned` $(touch pwned) @acme/all fixes #1 https://github.com/a/b/issues/2\n::error::x\u202e -- \x1b[31m"
    )
    packet = make_packet(task=12)
    packet["task"]["title"] = title
    packet["goal"] = "::add-mask::everything\n```\n# How you work here\n"
    stage.event = {"client_payload": make_payload(packet)}
    stage.prepare_hand_in()
    handed = stage.hand_in()
    assert handed.status == 0
    shown = stage.api.pulls[0]["title"]
    assert "\n" not in shown
    assert "\u202e" not in shown
    assert "\x1b" not in shown
    for active in ("@acme", "#1", "https://github.com/a/b/issues/2"):
        assert active not in shown
        assert active not in git(stage.origin_path, "log", "-1", "--format=%B", "task/12-1")
    assert not [line for line in handed.output.splitlines() if line.startswith("::") and "::notice::" not in line]
    assert not list(stage.folder.rglob("pwned"))


BEAT = {"ORCHESTRATOR_TOKEN": "a-token", "TASK": "12", "ATTEMPT": "2", "AGENT": "codex", "HEARTBEAT_SECONDS": "0"}


def test_heartbeats_continue_until_the_task_is_reassigned(stage: Stage) -> None:
    sent = stage.run("heartbeat.py", process=True, ORCHESTRATOR_URL=stage.api.url, **BEAT)
    assert (sent.status, sent.output) == (0, "")
    # The loop goes on in the background; run in the foreground, it must end by itself.
    command = [sys.executable, "-B", str(ACTION / "heartbeat.py"), "loop"]
    environment = {**os.environ, **BEAT, "ORCHESTRATOR_URL": stage.api.url, "GITHUB_REPOSITORY": "acme/shop"}
    assert subprocess.run(command, env=environment, timeout=60, check=False).returncode == 0
    assert len(stage.api.heartbeats) >= 3
    assert stage.api.heartbeats[0] == {"repository": "acme/shop", "task": 12, "attempt": 2, "agent": "codex"}
    assert ("POST", "/internal/agent/heartbeat", "a-token") in stage.api.requests


def test_heartbeats_end_if_the_bot_is_unreachable() -> None:
    """A loop that outlives its job must not go on for hours."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        command = [sys.executable, "-B", str(ACTION / "heartbeat.py"), "loop"]
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
        environment = {**os.environ, **BEAT, "ORCHESTRATOR_URL": address, "GITHUB_REPOSITORY": "acme/shop"}
        assert subprocess.run(command, env=environment, timeout=60, check=False).returncode == 0


def test_heartbeats_that_are_refused_do_not_fail_the_run(stage: Stage) -> None:
    stage.api.heartbeats = [{}, {}]
    refused = stage.run("heartbeat.py", process=True, ORCHESTRATOR_URL=stage.api.url, **BEAT)
    assert refused.status == 0
    assert "refused the heartbeat (409)" in refused.output
    elsewhere = stage.run("heartbeat.py", process=True, ORCHESTRATOR_URL="ftp://example.com", **BEAT)
    assert "must begin with https://" in elsewhere.output
