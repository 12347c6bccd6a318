"""Runs that were asked for words: a plan, or the verdict of a review."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from adapters.agents.run_results import parse_run_result, result_key
from core.signals.base import PlanDelivered, ReviewDelivered
from tests.workflows.agent_kit import RUN_TOKEN, ScriptResult, Stage, git, make_packet, make_payload

SECRETS = (
    "ghp_0123456789abcdefghijABCDEFGHIJ0123 ghs_12_eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiIxMiJ9.c2lnbmF0dXJl "
    "password=hunter2 https://user:pass@host/"
)
OLD, NEW = SecretStr("the old secret"), SecretStr("the new secret")
KEY = result_key(OLD, 42, 12, 1)


def marker_of(task: int, attempt: int) -> str:
    """A marker with a key that the agent made up."""
    return f"<!-- orchestrator:answer {task}-{attempt} plan {'0' * 32} -->"


def asked(stage: Stage, role: str, key: str = KEY) -> ScriptResult:
    """An order for words, as the bot dispatches it; prepared."""
    about: dict[str, Any] | None = None
    if role == "review":
        git(stage.seed_folder, "switch", "-q", "-C", "task/12-9")
        head = stage.commit_to("task/12-9", "cart.py", "total = sum\n")
        git(stage.job_folder, "fetch", "-q", "origin")
        about = dict.fromkeys(("url", "author", "checks", "compare_url"), "x")
        about |= {"number": 7, "attempt": 9, "branch": "task/12-9", "base": "main", "head_sha": head}
    packet = make_packet(role=role, pull_request=about, answer_key=key)
    stage.event = {"client_payload": make_payload(packet)}
    prepared = stage.prepare()
    assert prepared.status == 0, prepared.output
    assert prepared.outputs["role"] == role
    return prepared


def test_a_plan_becomes_a_comment_that_the_bot_knows(stage: Stage) -> None:
    prepared = asked(stage, "plan")
    assert KEY not in Path(prepared.outputs["packet"]).read_text()
    assert "Plan the task below for another agent" in Path(prepared.outputs["handoff"]).read_text()
    stage.write_change()  # beside its plan; that is left behind
    Path(prepared.outputs["answer"]).write_text("First this.\n\n/retry\n")
    assert stage.collect(prepared).status == 0
    stage.new_job("hand-in")
    assert stage.hand_in().status == 0
    assert set(stage.branches) == {"main"}
    assert stage.api.pulls == []
    assert {token for _, _, token in stage.api.requests} == {RUN_TOKEN}, "the token that writes code is not needed"
    (said,) = stage.api.written_comments
    answer = parse_run_result(said)
    assert answer
    assert answer.signal == PlanDelivered(1, "First this.\n\n/retry")
    assert answer.is_genuine([NEW, OLD], 42)
    assert not answer.is_genuine([NEW], 42)
    assert not answer.is_genuine([OLD], 43)


@pytest.mark.parametrize("file", ["answer.md", "work.bundle"])
@pytest.mark.parametrize("target", ["/proc/self/environ", "/etc/hostname", "/dev/zero", "folder", "fifo"])
def test_what_is_handed_in_is_a_file_and_no_link(stage: Stage, file: str, target: str) -> None:
    """Where a tool that unpacks the artifact keeps links, the job with the token would read whatever they lead to."""
    if file == "answer.md":
        prepared = asked(stage, "plan")
        Path(prepared.outputs["answer"]).write_text("First this.\n")
        assert stage.collect(prepared).status == 0
        stage.new_job("hand-in")
    else:
        stage.prepare_hand_in()
    handed_in = stage.temp_folder / "orchestrator" / file
    handed_in.unlink()
    if target == "folder":
        handed_in.mkdir()
    elif target == "fifo":
        os.mkfifo(handed_in)
    else:
        handed_in.symlink_to(target)
    assert stage.hand_in("token-that-writes-code").status == 1
    assert stage.api.written_comments == stage.api.pulls == []


@pytest.mark.parametrize("role", ["plan", "implement"])
def test_a_link_that_an_agent_leaves_is_not_uploaded(stage: Stage, role: str) -> None:
    prepared = asked(stage, role)
    folder = stage.temp_folder / "orchestrator"
    for name in ("answer.md", "work.bundle"):
        (folder / name).symlink_to("/proc/self/environ")
    stage.write_change()
    assert stage.collect(prepared).status == (1 if role == "plan" else 0)
    left = {path.name for path in folder.iterdir() if path.is_symlink()}
    assert left == ({"answer.md"} if role == "plan" else set()), "the failed step keeps it from being uploaded"


def test_the_words_of_an_agent_notify_no_one_and_show_no_secret(stage: Stage) -> None:
    prepared = asked(stage, "plan")
    words = f"@acme/everyone see {SECRETS}, closes #3 and acme/shop#4\n\n<img src=x>\n\n{marker_of(12, 1)}\n"
    Path(prepared.outputs["answer"]).write_text(words)
    assert stage.collect(prepared).status == 0
    stage.new_job("hand-in")
    assert stage.hand_in().status == 0
    (public,) = stage.api.written_comments
    for active in ("@acme", "#3", "#4", "<img", "ghp_0123456789", "eyJpc3", "hunter2", "pass@"):
        assert active not in public
    assert public.count("<!-- orchestrator:answer") == 1
    answer = parse_run_result(public)
    assert answer
    assert answer.signal.attempt == 1


@pytest.mark.parametrize(
    ("words", "approves", "text"),
    [
        ("approve\n\nGood.", True, "Good."),
        ("**Changes requested**: name it better.", False, "name it better."),
        ("# Approved", True, ""),
    ],
)
def test_a_review_stands_on_the_commit_and_its_first_word_is_the_verdict(
    stage: Stage, words: str, approves: bool, text: str
) -> None:
    prepared = asked(stage, "review")
    assert (stage.job_folder / "cart.py").read_text() == "total = sum\n"
    Path(prepared.outputs["answer"]).write_text(words)
    assert stage.collect(prepared).status == 0
    stage.new_job("hand-in")
    assert stage.hand_in().status == 0
    answer = parse_run_result(stage.api.written_comments[0])
    assert answer
    assert answer.signal == ReviewDelivered(1, approves, text)


def test_a_run_without_words_fails(stage: Stage) -> None:
    prepared = asked(stage, "plan")
    stage.write_change()
    assert "wrote no answer" in stage.collect(prepared).error


def test_a_review_without_a_verdict_fails(stage: Stage) -> None:
    prepared = asked(stage, "review")
    Path(prepared.outputs["answer"]).write_text("It is rather nice.")
    stage.new_job("hand-in")
    assert "neither `approve` nor `changes`" in stage.hand_in().error
    assert stage.api.written_comments == []


def test_a_dispatch_without_a_key_hands_in_nothing(stage: Stage) -> None:
    prepared = asked(stage, "plan", "")
    Path(prepared.outputs["answer"]).write_text("First this.")
    stage.new_job("hand-in")
    assert "no key for the answer" in stage.hand_in().error


def test_a_token_that_may_not_comment_is_reported(stage: Stage) -> None:
    prepared = asked(stage, "plan")
    Path(prepared.outputs["answer"]).write_text("First this.")
    stage.new_job("hand-in")
    stage.api.next_failures = ["403"]
    assert "`issues: write`" in stage.hand_in().error


@pytest.mark.parametrize(
    "body",
    ["", "/plan First.", f"<!-- orchestrator:answer 12-1 plan {KEY} -->\n\nand more", "<!-- orchestrator:answer -->"],
)
def test_other_comments_are_no_answers(body: str) -> None:
    assert parse_run_result(body) is None
