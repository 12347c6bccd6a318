"""The progress digest: what is counted where, what it says, what is news, and that it stays within bounds."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from core.assignment.rules import Agent
from core.commands.checkboxes import CheckboxCommand, boxes_in, ticked
from core.conflicts.hold import Hold
from core.conflicts.pulls import Precedence
from core.dead_letter import DeadLetter
from core.digest import MOST_NODES, Budget, Digest, Node, TaskGroup, digest
from core.escalation.model import Escalation, EscalationCause
from core.task.deadlines import DeadlineKind
from core.task.model import Flag, Lease, Status, Task
from core.texts.digest import (
    DIGEST_MARKER,
    MAX_TASK_ROWS,
    WAIT_NAMES,
    digest_summary,
    digest_text,
    format_age,
    node_label,
)
from core.texts.render import COMMENT_LIMIT
from tests.builders import NOW, Story, conflicting_pull, policy
from tests.core.test_matrix_text import flight, pair
from tests.core.test_texts import same

PLAIN = Story().file_ready_task().task
HELD = Hold("alice", NOW, "legal has to agree", paused=True)


def task(number: int, status: Status = Status.READY, **changes: object) -> Task:
    changed = {"number": number, "title": f"Task {number}", "status": status, **changes}
    return replace(PLAIN, **changed)  # type: ignore[arg-type]  # of whatever field


def working(number: int, agent: str = "codex", **changes: object) -> Task:
    lease = Lease(agent, 1, f"task/{number}-1", NOW, acknowledged_at=NOW + timedelta(minutes=1))
    return task(number, Status.IN_PROGRESS, lease=lease, attempt=1, **changes)


def failed(number: int, **changes: object) -> Task:
    flags = {Flag.NEEDS_HUMAN: "All attempts are used up; @mallory #9 </details>."}
    return task(number, Status.FAILED, **{"flags": flags, **changes})


def agent(name: str, holding: int = 0, unavailable: str | None = None) -> Agent:
    return Agent(name, frozenset({"python"}), frozenset(), 2, frozenset({"implement"}), holding, 0, unavailable)


def made(*tasks: Task, hours: float = 2, **more: object) -> Digest:
    given = {"flights": {}, "pairs": [], "agents": [agent("codex")], **more}
    return digest("acme/shop", tasks, policy=policy(), now=NOW + timedelta(hours=hours), **given)  # type: ignore[arg-type]


SEVERAL = (
    task(1, Status.PENDING, missing=("a goal | and @alice",)),
    working(2),
    task(3, waits_for=("#2", "acme/till#7"), flags={Flag.BLOCKED: "Waits for #2, acme/till#7."}),
    failed(4),
    task(5, held=HELD, flags={Flag.BLOCKED: HELD.said}),
    task(6, title='A "title" | with `ticks` @alice <!-- --> ]]; end'),
    task(7, waits_for=("#6",)),
)


GIVEN_UP = (
    DeadLetter("17", "Comment comment:2:answer `x` @alice", 2, 4, "issues/create-comment 404: no | @bob", NOW),
    DeadLetter("f0-9", "delivery push", None, 1, "410: gone", NOW),
)


def test_the_page() -> None:
    flights = {7: flight(7, 2), 9: flight(9, 3), 11: flight(11)}
    drawn = made(
        *SEVERAL,
        flights=flights,
        pairs=[pair(7, 9, "shop/a.py"), pair(9, 11), pair(9, 99, "gone")],
        agents=[agent("codex", 1), agent("claude", unavailable="drained by alice")],
        budget=Budget(4321, NOW + timedelta(hours=3), 37),
        given_up=GIVEN_UP,
    )
    same("digest", digest_text(drawn))


def test_each_task_is_counted_once_and_what_is_over_is_not() -> None:
    over = [task(8, Status.DONE), failed(9, issue_open=False), task(10, withdrawn=True)]
    drawn = made(*SEVERAL, *over)
    assert drawn.counts == {TaskGroup.FAILED: 1, TaskGroup.BLOCKED: 3, TaskGroup.ACTIVE: 1, TaskGroup.WAITING: 2}
    assert [line.number for line in drawn.lines] == [4, 3, 5, 7, 2, 1, 6], "what needs a person comes first"


def test_what_changes_with_time_alone_does_not_update_the_digest() -> None:
    before = made(*SEVERAL).fingerprint
    lease = replace(SEVERAL[1].lease, last_sign_at=NOW + timedelta(hours=3))  # type: ignore[type-var]
    later = (SEVERAL[0], replace(SEVERAL[1], lease=lease), *SEVERAL[2:])
    assert made(*later, hours=5, budget=Budget(1, NOW)).fingerprint == before


@pytest.mark.parametrize(
    "news",
    [
        replace(SEVERAL[1], title="Another"),
        replace(SEVERAL[1], status=Status.REVIEW),
        working(2, "claude"),
        replace(SEVERAL[1], flags={Flag.STALLED: "No progress."}),
        replace(SEVERAL[1], waits_for=("#1",)),
    ],
)
def test_what_people_have_to_know_changes_the_digest(news: Task) -> None:
    before = made(*SEVERAL).fingerprint
    assert made(SEVERAL[0], news, *SEVERAL[2:]).fingerprint != before


def test_an_agent_s_load_and_a_conflict_update_the_digest() -> None:
    before = made(*SEVERAL).fingerprint
    flights = {7: flight(7, 2), 9: flight(9, 3)}
    assert made(*SEVERAL, agents=[agent("codex", 1)]).fingerprint != before
    apart = made(*SEVERAL, flights=flights).fingerprint
    assert made(*SEVERAL, flights=flights, pairs=[pair(7, 9, "a")]).fingerprint != apart


def test_boxes_are_for_what_a_person_can_do() -> None:
    stuck = Story().file_ready_task().reach_review().task
    assert stuck.pull
    stuck = replace(stuck, number=8, pull=replace(stuck.pull, rivals=(conflicting_pull(9, waits=Precedence.THIS),)))
    found = made(*SEVERAL, stuck).boxes
    assert [(box.task, *box.command) for box in found] == [
        (4, "ack", ""),
        (4, "retry", ""),
        (5, "resume", ""),
        (8, "resolve", "ignore"),
    ]
    text = digest_text(made(*SEVERAL, stuck))
    assert [(box.word, box.task) for box in boxes_in(text)] == [(box.word, box.task) for box in found]
    assert not any(boxes_in(text).values())


def test_of_a_call_that_was_answered_it_says_by_whom() -> None:
    call = Escalation(cause=EscalationCause.ATTEMPTS, reason="", topic="failed", since=NOW, status="failed", attempt=1)
    answered = failed(4, escalation=replace(call, acknowledged_by="bob", acknowledged_at=NOW))
    before, after = made(failed(4, escalation=call)), made(answered)
    assert [box.word for box in before.boxes] == ["ack", "retry"]
    assert [box.word for box in after.boxes] == ["retry"]
    assert "(bob has acknowledged it)" in digest_text(after)
    assert before.fingerprint != after.fingerprint


def test_every_wait_has_words() -> None:
    assert WAIT_NAMES.keys() == set(DeadlineKind)


def test_a_box_counts_when_it_was_there_and_empty() -> None:
    text = digest_text(made(*SEVERAL))
    assert ticked(text, text) == ()
    after = text.replace("- [ ] retry", "- [x] retry").replace("\n", "\r\n")
    assert ticked(text, after) == (CheckboxCommand("retry", 4),)
    assert ticked(after, after) == ()
    assert ticked(after, text) == (), "taking the tick off is nothing"
    forged = f"- [x] all is well {CheckboxCommand('retry', 99).marker}\n- [x] boom <!-- orchestrator:do close 4 -->\n"
    assert ticked(text, text + forged) == (), "nor is what a user writes in"
    twice = text.replace("- [ ] retry", f"- [x] harmless {CheckboxCommand('retry', 4).marker}\n- [ ] retry")
    assert ticked(twice, text) == ()


def test_a_thousand_tasks_with_long_titles_fit_and_ten_thousand_do() -> None:
    long = "&lt; @alice #12 " * 20
    why = {Flag.BLOCKED: "because | of `this` " * 100, Flag.NEEDS_HUMAN: long}
    for count in (1_000, 10_000):
        tasks = [failed(n, title=long, flags=why, waits_for=(f"#{n - 1}",)) for n in range(2, count + 2)]
        flights = {n: flight(n) for n in range(1, 40)}
        pairs = [
            pair(one, other, *("x" * 250 + str(n) for n in range(3)))
            for one in flights
            for other in flights
            if one < other
        ]
        drawn = made(*tasks, flights=flights, pairs=pairs, agents=[agent("a" * 40, 1, why[Flag.BLOCKED])] * 100)
        text = digest_text(drawn)
        assert len(text) <= COMMENT_LIMIT
        assert text.rstrip().endswith(DIGEST_MARKER), "it is found again by its marker"
        assert len(drawn.nodes) <= MOST_NODES
    plain = digest_text(made(*[task(n) for n in range(1, 1_001)]))
    assert plain.count("\n| #") == MAX_TASK_ROWS
    assert "<summary>940 more</summary>" in plain
    assert "#1000" in plain, "the folded ones are named all the same"


def test_a_graph_that_has_no_room_says_how_many_it_left_out() -> None:
    drawn = made(*[task(n, waits_for=(f"#{n + 100}",)) for n in range(1, 41)])
    assert (len(drawn.nodes), len(drawn.edges), drawn.left_out) == (50, 25, 30)
    assert "The graph has no room for 30 more tasks." in digest_text(drawn)


@pytest.mark.parametrize(
    "title",
    [
        '"]; click n0 "javascript:alert(1)"',
        "```\n<script>",
        "a --> b",
        "%%{init: {}}%%",
        "#quot;#35;",
        "`md` \\u0022",
        "\ue000",
    ],
)
def test_no_title_leaves_its_label(title: str) -> None:
    told = node_label(Node("#12", title, TaskGroup.ACTIVE))
    assert told.startswith("#35;12")
    assert not set(told.removeprefix("#35;")) & set('"`<>#;[]{}()|\\%&\n\ue000')


def test_the_line_for_channels() -> None:
    told = digest_summary(made(*SEVERAL))
    assert told == ("acme/shop: 1 active, 3 blocked, 2 waiting, 1 failed. Needs a person: #4.")
    many = digest_summary(made(*[failed(n) for n in range(1, 9)]))
    assert many == "acme/shop: 0 active, 0 blocked, 0 waiting, 8 failed. Needs a person: #1, #2, #3, #4, #5 and 3 more."


@pytest.mark.parametrize(
    ("minutes", "told"),
    [(0, "0 min"), (59, "59 min"), (60, "1 h"), (61, "1 h 1 min"), (1440, "1 d"), (1600, "1 d 2 h"), (-5, "0 min")],
)
def test_how_long_ago(minutes: int, told: str) -> None:
    assert format_age(NOW, NOW + timedelta(minutes=minutes)) == told


def test_an_empty_repository_says_so() -> None:
    assert "There are no open tasks." in digest_text(made(agents=[]))
