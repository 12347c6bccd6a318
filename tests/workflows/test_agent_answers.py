"""Runs that were asked for words: a plan, or the verdict of a review."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from adapters.agents.run_results import parse_run_result, result_key
from core.signals.base import PlanDelivered, ReviewDelivered
from tests.workflows.agent_kit import RUN_TOKEN, ScriptResult, Stage, git, make_packet, make_payload

OLD, NEW = SecretStr("the old secret"), SecretStr("the new secret")
KEY = result_key(OLD, 42, 12, 1)


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
