"""The texts of a retrospective, and what is read back from them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from core.retro.model import MAX_ANSWER_LENGTH, NextTask
from core.texts.retrospective import (
    action_body,
    question_comment,
    retro_text,
    retrospective_body,
    retrospective_marker,
    retrospective_title,
    ticked_items,
)
from tests.builders import NOW
from tests.core.test_retrospective import held, lost_and_met, reworked, smooth
from tests.core.test_texts import same


def test_the_issue() -> None:
    upcoming = (NextTask(9, "Sell plums", "P0"), NextTask(8, "Sell `figs` @all", "P2"))
    found = held(reworked(), smooth(5), lost_and_met(), next_tasks=upcoming, mentions={"claude": "@claude"})
    assert retrospective_title(found) == "Retrospective of 2026-03-02: 3 tasks done"
    same("retrospective", retrospective_body(found))
    [claude, codex] = found.questions
    same("retrospective_question", question_comment(claude))
    same("retrospective_task", action_body(found.actions[0], replace(found, number=12), "<!-- the marker -->"))

    later = found.with_answer("codex", "No one said <!-- hidden --> so.\n```\n@alice token=abcdefgh12345678", "alice")
    assert later is not None
    later = later.with_ticked(["rework", "conflicts"], "alice").with_task("rework", 14)
    same("retrospective_later", retrospective_body(later))
    assert codex.answer == ""
    same("retro_dry_run", retro_text(held(smooth(1)), dry_run=True))
    same("retro", retro_text(held(smooth(1)), dry_run=False))


def test_ticks_are_read_from_whatever_stands_in_the_body() -> None:
    body = retrospective_body(held(reworked(), lost_and_met()))
    assert ticked_items(body) == frozenset()
    ticked = body.replace("- [ ]", "- [X]", 1).replace("\n", "\r\n")
    assert ticked_items(ticked) == {"rework"}
    assert ticked_items("text - [x] a <!-- orchestrator:action rework -->") == frozenset()
    assert ticked_items("- [x] a <!-- orchestrator:action ../../x -->") == frozenset()


def test_of_very_many_tasks_the_issue_stays_short() -> None:
    many = [smooth(number, f"agent-{number}", NOW + timedelta(minutes=number)) for number in range(1, 101)]
    found = held(*many, omitted_count=7)
    for agent in found.agents:
        found = found.with_answer(agent.name, "long " * 1000, "alice") or found
    body = retrospective_body(found)
    assert len(body) <= 65_000
    assert body.rstrip().endswith(retrospective_marker("turn:0"))
    assert "… and 77 more." in body
    assert body.count("section Task") == 10
    assert max(len(question.answer) for question in found.questions) <= MAX_ANSWER_LENGTH
