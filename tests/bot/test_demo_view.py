"""A newcomer understands what the demo shows."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from bot.demo.monitor import Snapshot
from bot.demo.narration import AuditLine, describe_event, status_note
from bot.demo.output import LineOutput, LiveOutput, summary_line, summary_table
from bot.demo.summary import Outcome, count_merge_conflicts
from bot.demo.svg import render_svg
from bot.demo.view import View
from core.task.model import ChecksState, Status
from sandbox import RequestRecord
from tests.bot.demo_pieces import START, lease, pull, snapshot, task

MOMENT = snapshot(
    task(1, "Add voucher codes", Status.DONE, pull=pull(9, merged=True)),
    task(2, "Take a voucher", Status.IN_PROGRESS, lease=lease("codex", 2, 2), attempt=2),
    task(3, "Show the voucher", Status.READY, open_dependencies=("#2",)),
    task(4, "Never oversell", Status.PENDING, readiness_problems=("It has no acceptance criteria: add a heading.",)),
    audit_lines=(
        AuditLine(1.0, "@alice filed #1 Add voucher codes", "person"),
        AuditLine(9.5, "#2 returns to the queue with feedback: CI failed: test", "bad"),
    ),
)
OUTCOME = Outcome(
    figures={
        "tasks": 8,
        "done": 8,
        "failed": 0,
        "lost": 0,
        "assignment_latency_ms": {"p50": 120.4, "p95": 310.0},
        "feedback_rounds": 1,
        "reassignments": 2,
        "failover_seconds_max": 1.5,
        "conflicts": {"before_work": 2, "during_work": 1, "at_merge": 0},
        "digests": 2,
        "nudges": 1,
        "calls_answered": 1,
        "retrospectives": 3,
        "github_calls": {"issues/get": 3, "pulls/merge": 8},
        "content_writes_per_task": 12.5,
        "seconds": 19.8,
    },
    problems=(),
    proof=("its 27 tests pass",),
)


def drawn(moment: Snapshot, width: int = 110, height: int = 50) -> list[str]:
    console = Console(width=width, height=height, file=io.StringIO(), record=True)
    console.print(View(moment))
    return console.export_text().splitlines()


def test_a_task_is_one_line_with_all_that_matters() -> None:
    lines = drawn(MOMENT)
    [taking] = [line for line in lines if "Take a voucher" in line]
    for word in ("2", "P1", "functional", "in-progress", "codex", "attempt 2, with feedback"):
        assert word in taking
    [added] = [line for line in lines if line.startswith(" 1 ")]
    assert "✓ done" in added
    assert "#9" in added


def test_it_says_what_others_wait_for() -> None:
    text = "\n".join(drawn(MOMENT))
    assert "waits for #2" in text
    assert "no acceptance criteria" in text


def test_agents_and_events_are_there() -> None:
    text = "\n".join(drawn(MOMENT))
    assert "python, tests" in text
    assert "free" in text
    assert "9.5 s  #2 returns to the queue with feedback: CI failed: test" in text
    assert "1 of 4 done" in text
    assert "12.3 s" in text


@pytest.mark.parametrize(("width", "height"), [(80, 24), (80, 60), (120, 24), (120, 60)])
def test_it_fits_the_terminal(width: int, height: int) -> None:
    ten = snapshot(
        *(
            task(number, "A title that is a good deal longer than the room for it", Status.READY)
            for number in range(10)
        ),
        audit_lines=tuple(AuditLine(n, "Something happened that takes many words to tell " * 3) for n in range(50)),
    )
    lines = drawn(ten, width, height)
    assert max(map(len, lines)) <= width
    assert len(lines) < height


def test_tasks_that_are_not_filed_yet_keep_their_place() -> None:
    some, all_of_them = snapshot(*MOMENT.tasks[:1], expected=4), snapshot(*MOMENT.tasks)
    assert len(drawn(some)) == len(drawn(all_of_them))


@pytest.mark.parametrize(
    ("pull_request", "expected"),
    [
        (pull(9), "CI is running"),
        (pull(9, checks=ChecksState.SUCCESS), "waits for ticked criteria"),
        (pull(9, checks=ChecksState.SUCCESS, merge_requested_sha="a"), "being merged"),
        (pull(9, merged=True), "merged"),
    ],
)
def test_review_has_stages(pull_request: object, expected: str) -> None:
    assert status_note(task(1, "A", Status.REVIEW, pull=pull_request)) == expected


def test_a_story_is_over_when_nothing_can_move() -> None:
    failed = task(1, "A", Status.FAILED)
    behind = task(2, "B", Status.READY, open_dependencies=("#1",))
    far_behind = task(3, "C", Status.READY, open_dependencies=("#2",))
    assert snapshot(failed, behind, far_behind).is_finished
    assert not snapshot(failed, behind, far_behind, expected=4).is_finished
    assert not snapshot(failed, task(2, "B", Status.READY)).is_finished
    assert snapshot(task(1, "A", Status.DONE)).is_finished


def test_the_summary_has_figures_and_the_way_on() -> None:
    console = Console(width=100, file=io.StringIO(), record=True)
    console.print(summary_table(OUTCOME))
    text = console.export_text()
    for words in (
        "its 27 tests pass",
        "120 ms, p95 310 ms",
        "1 time",
        "2 before work, 1 during work, 0 at the merge",
        "11 of 2 kinds",
        "12.5",
        "README.md",
    ):
        assert words in text
    assert summary_line(OUTCOME) == "8 tasks: 8 done and merged into main, 0 failed, 0 lost, in 19.8 s."


def test_the_summary_says_what_went_wrong() -> None:
    console = Console(width=100, file=io.StringIO(), record=True)
    console.print(summary_table(Outcome(OUTCOME.figures, ("shop/tax.py is not in main",), ("its 27 tests pass",))))
    text = console.export_text()
    assert "✗ shop/tax.py is not in main" in text
    assert "27 tests" not in text


def test_lines_are_printed_once() -> None:
    console = Console(width=80, file=io.StringIO(), record=True)
    show = LineOutput(console)
    show.begin()
    show.update(MOMENT)
    show.update(MOMENT)
    show.end(OUTCOME)
    text = console.export_text()
    assert text.count("@alice filed #1") == 1
    assert text.splitlines()[-1].startswith("8 tasks: 8 done")


def test_the_live_picture_begins_with_a_sentence_and_ends_with_the_summary() -> None:
    console = Console(width=100, height=40, file=io.StringIO(), force_terminal=True, record=True)
    show = LiveOutput(console)
    show.begin()
    show.update(MOMENT)
    show.end(OUTCOME)
    show.close()
    text = console.export_text()
    assert "runs a GitHub sandbox, the orchestrator and four scripted agents" in text.splitlines()[1]
    assert text.rstrip().endswith("in 19.8 s.")


def test_the_picture_asks_no_server_and_names_no_machine() -> None:
    svg = render_svg(MOMENT)
    assert svg.startswith("<svg")
    assert "@font-face" not in svg
    assert "orchestrator&#160;demo" in svg
    assert len(svg) < 150_000


def test_a_conflict_is_shown_by_the_time_it_was_found() -> None:
    def words(kind: str, **more: object) -> list[str]:
        payload = {"kind": kind, "tasks": [1, 2], "files": ["shop/cart.py"], **more}
        row = {"task": 2, "agent": None, "actor": None, "type": "conflict_detected", "payload": payload}
        return [happening.text for happening in describe_event(row, MOMENT.tasks[1], 1.0)]

    assert words("overlap") == ["#2 Take a voucher waits for #1: both will probably change shop/cart.py"]
    assert words("branches") == ["#2 conflicts with the work on #1 in shop/cart.py"]
    assert words("branches", tasks=[2]) == ["#2 conflicts with the work on another pull request in shop/cart.py"]
    assert words("base") == ["#2 conflicts with what was merged in the meantime, in shop/cart.py"]
    assert words("idle") == [], "what follows from it says enough"


def test_what_was_merged_already_is_no_conflict_at_the_merge() -> None:
    def merge(number: int, status: int, **answer: object) -> RequestRecord:
        path = f"/repos/acme/shop/pulls/{number}/merge"
        return RequestRecord(
            received_at=START,
            method="PUT",
            path=path,
            operation_id="pulls/merge",
            actor="bot",
            installation_id=1,
            query={},
            body={},
            status=status,
            response=answer,
        )

    refused = {"message": "Pull Request is not mergeable"}
    done = merge(3, 200, merged=True, message="Pull Request successfully merged")
    assert count_merge_conflicts([done, merge(3, 405, **refused)]) == 0
    assert count_merge_conflicts([merge(3, 405, **refused), done, merge(4, 405, message="It is still a draft")]) == 1
