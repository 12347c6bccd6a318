"""The progress digest: what is counted where, what it says, what is news, and that it stays within bounds."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from core.assignment.rules import Agent
from core.commands.checkboxes import CheckboxCommand, newly_ticked, parse_checkboxes
from core.conflicts.hold import Hold
from core.conflicts.pulls import Precedence
from core.dead_letter import DeadLetter
from core.digest import MAX_NODES, Digest, Node, RateLimitSummary, TaskGroup, build_digest
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
HELD = Hold("alice", NOW, "legal has to agree", is_paused=True)


def task(number: int, status: Status = Status.READY, **changes: object) -> Task:
    changed = {"number": number, "title": f"Task {number}", "status": status, **changes}
    return replace(PLAIN, **changed)  # type: ignore[arg-type]  # of whatever field


def working(number: int, agent: str = "codex", **changes: object) -> Task:
    lease = Lease(agent, 1, f"task/{number}-1", NOW, acknowledged_at=NOW + timedelta(minutes=1))
    return task(number, Status.IN_PROGRESS, lease=lease, attempt=1, **changes)


def failed(number: int, **changes: object) -> Task:
    flags = {Flag.NEEDS_HUMAN: "All attempts are used up; @mallory #9 </details>."}
    return task(number, Status.FAILED, **{"flags": flags, **changes})


def agent(name: str, active_tasks: int = 0, unavailable_reason: str | None = None) -> Agent:
    return Agent(
        name, frozenset({"python"}), frozenset(), 2, frozenset({"implement"}), active_tasks, 0, unavailable_reason
    )


def made(*tasks: Task, hours: float = 2, **more: object) -> Digest:
    given = {"open_pulls": {}, "pairs": [], "agents": [agent("codex")], **more}
    return build_digest("acme/shop", tasks, policy=policy(), now=NOW + timedelta(hours=hours), **given)  # type: ignore[arg-type]


SEVERAL = (
    task(1, Status.PENDING, readiness_problems=("a goal | and @alice",)),
    working(2),
    task(3, open_dependencies=("#2", "acme/till#7"), flags={Flag.BLOCKED: "Waits for #2, acme/till#7."}),
    failed(4),
    task(5, hold=HELD, flags={Flag.BLOCKED: HELD.description}),
    task(6, title='A "title" | with `ticks` @alice <!-- --> ]]; end'),
    task(7, open_dependencies=("#6",)),
)


GIVEN_UP = (
    DeadLetter("17", "Comment comment:2:answer `x` @alice", 2, 4, "issues/create-comment 404: no | @bob", NOW),
    DeadLetter("f0-9", "delivery push", None, 1, "410: gone", NOW),
)


def test_the_page() -> None:
    open_pulls = {7: flight(7, 2), 9: flight(9, 3), 11: flight(11)}
    drawn = made(
        *SEVERAL,
        open_pulls=open_pulls,
        pairs=[pair(7, 9, "shop/a.py"), pair(9, 11), pair(9, 99, "gone")],
        agents=[agent("codex", 1), agent("claude", unavailable_reason="drained by alice")],
        rate_limit=RateLimitSummary(4321, NOW + timedelta(hours=3), 37),
        dead_letters=GIVEN_UP,
    )
    same("digest", digest_text(drawn))


def test_each_task_is_counted_once_and_what_is_over_is_not() -> None:
    over = [task(8, Status.DONE), failed(9, issue_open=False), task(10, untracked=True)]
    drawn = made(*SEVERAL, *over)
    assert drawn.counts == {TaskGroup.FAILED: 1, TaskGroup.BLOCKED: 3, TaskGroup.ACTIVE: 1, TaskGroup.WAITING: 2}
    assert [line.number for line in drawn.task_rows] == [4, 3, 5, 7, 2, 1, 6], "what needs a person comes first"


def test_what_changes_with_time_alone_does_not_update_the_digest() -> None:
    before = made(*SEVERAL).fingerprint
    lease = replace(SEVERAL[1].lease, last_activity_at=NOW + timedelta(hours=3))  # type: ignore[type-var]
    later = (SEVERAL[0], replace(SEVERAL[1], lease=lease), *SEVERAL[2:])
    assert made(*later, hours=5, rate_limit=RateLimitSummary(1, NOW)).fingerprint == before


@pytest.mark.parametrize(
    "news",
    [
        replace(SEVERAL[1], title="Another"),
        replace(SEVERAL[1], status=Status.REVIEW),
        working(2, "claude"),
        replace(SEVERAL[1], flags={Flag.STALLED: "No progress."}),
        replace(SEVERAL[1], open_dependencies=("#1",)),
    ],
)
def test_what_people_have_to_know_changes_the_digest(news: Task) -> None:
    before = made(*SEVERAL).fingerprint
    assert made(SEVERAL[0], news, *SEVERAL[2:]).fingerprint != before


def test_an_agent_s_load_and_a_conflict_update_the_digest() -> None:
    before = made(*SEVERAL).fingerprint
    open_pulls = {7: flight(7, 2), 9: flight(9, 3)}
    assert made(*SEVERAL, agents=[agent("codex", 1)]).fingerprint != before
    apart = made(*SEVERAL, open_pulls=open_pulls).fingerprint
    assert made(*SEVERAL, open_pulls=open_pulls, pairs=[pair(7, 9, "a")]).fingerprint != apart


def test_boxes_are_for_what_a_person_can_do() -> None:
    stuck = Story().file_ready_task().reach_review().task
    assert stuck.pull
    stuck = replace(
        stuck, number=8, pull=replace(stuck.pull, conflicting_pulls=(conflicting_pull(9, waits=Precedence.THIS),))
    )
    found = made(*SEVERAL, stuck).checkboxes
    assert [(box.task, *box.command) for box in found] == [
        (4, "ack", ""),
        (4, "retry", ""),
        (5, "resume", ""),
        (8, "resolve", "ignore"),
    ]
    text = digest_text(made(*SEVERAL, stuck))
    assert [(box.keyword, box.task) for box in parse_checkboxes(text)] == [(box.keyword, box.task) for box in found]
    assert not any(parse_checkboxes(text).values())


def test_of_a_call_that_was_answered_it_says_by_whom() -> None:
    call = Escalation(cause=EscalationCause.ATTEMPTS, reason="", topic="failed", since=NOW, status="failed", attempt=1)
    answered = failed(4, escalation=replace(call, acknowledged_by="bob", acknowledged_at=NOW))
    before, after = made(failed(4, escalation=call)), made(answered)
    assert [box.keyword for box in before.checkboxes] == ["ack", "retry"]
    assert [box.keyword for box in after.checkboxes] == ["retry"]
    assert "(bob has acknowledged it)" in digest_text(after)
    assert before.fingerprint != after.fingerprint


def test_every_wait_has_words() -> None:
    assert WAIT_NAMES.keys() == set(DeadlineKind)


def test_a_box_counts_when_it_was_there_and_empty() -> None:
    text = digest_text(made(*SEVERAL))
    assert newly_ticked(text, text) == ()
    after = text.replace("- [ ] retry", "- [x] retry").replace("\n", "\r\n")
    assert newly_ticked(text, after) == (CheckboxCommand("retry", 4),)
    assert newly_ticked(after, after) == ()
    assert newly_ticked(after, text) == (), "taking the tick off is nothing"
    forged = f"- [x] all is well {CheckboxCommand('retry', 99).marker}\n- [x] boom <!-- orchestrator:do close 4 -->\n"
    assert newly_ticked(text, text + forged) == (), "nor is what a user writes in"
    twice = text.replace("- [ ] retry", f"- [x] harmless {CheckboxCommand('retry', 4).marker}\n- [ ] retry")
    assert newly_ticked(twice, text) == ()


def test_a_thousand_tasks_with_long_titles_fit_and_ten_thousand_do() -> None:
    long = "&lt; @alice #12 " * 20
    why = {Flag.BLOCKED: "because | of `this` " * 100, Flag.NEEDS_HUMAN: long}
    for count in (1_000, 10_000):
        tasks = [failed(n, title=long, flags=why, open_dependencies=(f"#{n - 1}",)) for n in range(2, count + 2)]
        open_pulls = {n: flight(n) for n in range(1, 40)}
        pairs = [
            pair(one, other, *("x" * 250 + str(n) for n in range(3)))
            for one in open_pulls
            for other in open_pulls
            if one < other
        ]
        drawn = made(*tasks, open_pulls=open_pulls, pairs=pairs, agents=[agent("a" * 40, 1, why[Flag.BLOCKED])] * 100)
        text = digest_text(drawn)
        assert len(text) <= COMMENT_LIMIT
        assert text.rstrip().endswith(DIGEST_MARKER), "it is found again by its marker"
        assert len(drawn.nodes) <= MAX_NODES
    plain = digest_text(made(*[task(n) for n in range(1, 1_001)]))
    assert plain.count("\n| #") == MAX_TASK_ROWS
    assert "<summary>940 more</summary>" in plain
    assert "#1000" in plain, "the folded ones are named all the same"


def test_a_graph_that_has_no_room_says_how_many_it_left_out() -> None:
    drawn = made(*[task(n, open_dependencies=(f"#{n + 100}",)) for n in range(1, 41)])
    assert (len(drawn.nodes), len(drawn.edges), drawn.omitted_count) == (50, 25, 30)
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
