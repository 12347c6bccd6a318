"""Every text the bot writes, compared with its snapshot in tests/data/texts. `UPDATE_SNAPSHOTS=1` rewrites them."""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from importlib import resources
from pathlib import Path

import pytest

from config.problems import Problem
from core import texts
from core.conflicts.pulls import FileConflict, Precedence, Span, TrialMerge
from core.dead_letter import DeadLetter
from core.decide.commands.registry import COMMANDS
from core.effects.base import Escalate, MessageAgent
from core.handoff.feedback import LineComment
from core.review.definition_of_done import merge_blockers
from core.signals.base import AgentSeen, AgentStartFailed, EscalationAnswered, PlanDelivered
from core.task.deadlines import DeadlineKind
from core.task.model import AssignmentDecision, Candidate, ChecksState, Flag, Role, SessionState
from core.texts.checks import conflict_check
from core.texts.replies import task_text
from tests.builders import (
    ALICE,
    BASE_SHA,
    BOB,
    MALLORY,
    NOW,
    OTHER_SHA,
    Story,
    body,
    conflicting_pull,
    failed_check,
)

ALL_FORMS = [form for command in COMMANDS.values() for form in command.all_forms]
SNAPSHOTS = Path(__file__).parents[1] / "data" / "texts"

LONG = body(
    "Sell apples, and pears.",
    ("apples are sold", "pears are sold"),
    priority="P1",
    required_capabilities="python",
    preferred_capabilities="docs",
    definition_of_done="- [ ] the docs say so",
    files="shop/fruit.py",
    estimate="2 h",
)
FAILED = failed_check(
    step="pytest", first_error="E assert 1 == 2", failing_tests=("test_a", "test_b"), log_tail="```\nboom\n```"
)


def same(name: str, text: str) -> None:
    """The text is what its snapshot says."""
    path = SNAPSHOTS / f"{name}.md"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.rstrip("\n") + "\n", "utf-8")
    assert text.rstrip("\n") + "\n" == path.read_text("utf-8"), "UPDATE_SNAPSHOTS=1 rewrites the snapshots"


def without_marker(card: str) -> str:
    return re.sub(r"<!-- orchestrator:card \S+ -->", "<!-- the marker -->", card)


def of_card(story: Story) -> str:
    return without_marker(texts.card_text(story.task, story.policy))


def pending() -> Story:
    story = Story()
    story.dependencies = {"#9": None}
    story.see_issue(MALLORY, author=MALLORY, text=body(criteria=()))
    return story


def waiting() -> Story:
    story = Story()
    story.dependencies = {"#2": False, "acme/web#3": False}
    return story.file_ready_task(text=LONG)


def looked_at_in_vain() -> Story:
    choice = "no agent is free: claude lacks tests; codex is at its limit of 1"
    return Story().file_ready_task(text=LONG).assign(None, choice)


def second_attempt() -> Story:
    story = Story().file_ready_task(text=LONG).reach_review()
    story.report_checks(ChecksState.FAILURE, None, FAILED)
    return story.assign(reason="codex scores 1.500, ahead of claude with 0.400").start_run(101)


def in_review() -> Story:
    story = Story().file_ready_task(text=LONG).reach_review()
    story.report_checks(ChecksState.SUCCESS)
    return story


def given_up() -> Story:
    story = (
        Story(limits={"max_attempts": 1}, escalation={"fallback": ("alice",)}).file_ready_task(text=LONG).reach_review()
    )
    story.report_checks(ChecksState.FAILURE, None, FAILED)
    return story


def done() -> Story:
    story = Story().file_ready_task(text=body(ticked=True)).reach_review()
    story.report_checks(ChecksState.SUCCESS)
    story.merge_pull()
    return story


ROLES = {"plan": "agent", "merge": {"auto": True, "review": "agent"}, "escalation": {"fallback": ("alice",)}}


def planning() -> Story:
    return Story(**ROLES).file_ready_task().assign("oracle", role=Role.PLAN).start_run()


def gone_on_without_a_plan() -> Story:
    return planning().report_run("completed", "failure")


def reviewing() -> Story:
    story = Story(**ROLES).file_ready_task(text=body(ticked=True)).assign("oracle", role=Role.PLAN)
    story.apply(PlanDelivered(1, "First sell one apple, then the others."))
    story.reach_review()
    story.report_checks(ChecksState.SUCCESS)
    story.report_trial_merge()
    return story.assign("claude", "claude is the only agent that can take it now", role=Role.REVIEW)


def claimed() -> Story:
    story = Story().file_ready_task()
    story.run_command("/claim", author=BOB)
    story.reach_deadline(DeadlineKind.STALL)
    return story


def queued() -> Story:
    story = Story().file_ready_task()
    story.referenced_tasks = {"#12": replace(story.task, number=12)}
    story.run_command("/resolve queue behind #12")
    return story


def dry() -> Story:
    return Story(dry_run=True).file_ready_task().assign(None, "dry run: the bot would choose codex")


STORIES: tuple[Callable[[], Story], ...] = (
    pending, waiting, looked_at_in_vain, second_attempt, in_review, given_up, done, claimed, dry,
    queued, planning, gone_on_without_a_plan, reviewing,
)  # fmt: skip


@pytest.mark.parametrize("story", STORIES, ids=lambda f: f.__name__)
def test_the_card_and_the_status(story: Callable[[], Story]) -> None:
    told = story()
    same(f"card_{story.__name__}", of_card(told))
    same(f"status_{story.__name__}", texts.status_text(told.task, told.policy))


def test_feedback_of_ci() -> None:
    story = Story().file_ready_task().reach_review()
    story.report_checks(ChecksState.FAILURE, None, FAILED, failed_check("lint", log_tail=""))
    same("feedback_ci", story.comment_text())


def test_feedback_of_a_review() -> None:
    story = Story().file_ready_task().reach_review()
    story.review_pull("changes_requested", text="Please use `Decimal` for money.")
    same("feedback_review", story.comment_text())


def test_feedback_of_a_review_with_comments_on_lines() -> None:
    story = in_review()
    said = (
        LineComment("shop/tax.py", 3, "Of what?\n\n```suggestion\nRATE = 0.19  # of the price\n```"),
        LineComment("shop/`odd`|name.py", None, "Where is its test, @alice?"),
    )
    story.review_pull("changes_requested", text="Almost.", comments=said)
    same("feedback_review_lines", story.comment_text())
    story.assign()
    assert story.packet()["feedback"]["details"] in texts.handoff_text(dict(story.packet()))


def test_the_message_to_an_agent_at_work() -> None:
    story = Story().file_ready_task().assign().start_run()
    story.see_pull(draft=True)
    story.review_pull("changes_requested", text="Use `Decimal`, says @alice.")
    [told] = story.effects_of_type(MessageAgent)
    same("asked_meanwhile", told.text)


def test_feedback_of_silence() -> None:
    story = Story().file_ready_task().assign()
    story.time_out(DeadlineKind.ACK)
    same("feedback_silent", story.comment_text())


def test_feedback_of_a_conflict() -> None:
    story = Story().file_ready_task().reach_review()
    story.report_trial_merge(False, files=("shop/a.py", "shop/`b`.py"))
    same("feedback_conflict", story.comment_text())


def test_feedback_on_a_persons_pull_request() -> None:
    story = Story().file_ready_task()
    story.see_pull(attempt=None, author=BOB, branch="bobs")
    story.report_checks(ChecksState.FAILURE, None, replace(failed_check(), url=""))
    same("feedback_person", story.comment_text())


def test_the_escalation() -> None:
    same("escalation", given_up().comment_text())
    asking = Story(escalation={"fallback": ("alice",)}).file_ready_task().assign()
    asking.apply(AgentSeen(1, SessionState.NEEDS_INPUT, asking.now, "s-1", "https://agents.example/s-1"))
    same("escalation_to_answer", asking.comment_text())
    alone = reviewing()
    alone.apply(AgentStartFailed(3, "There is no workflow."))
    alone.assign(None, "no agent is free: claude gave no verdict on attempt 3", role=Role.REVIEW, is_unassignable=True)
    same("escalation_to_review", alone.comment_text())
    calm = Story().file_ready_task()
    calm.current_task = replace(calm.task, approved_by=None)
    calm.run_command("/escalate We do not know what to do.", author=BOB)
    same("escalation_without_recipient", calm.effects_of_type(Escalate)[0].body)


def test_a_call_climbs_and_a_reminder() -> None:
    rota = {"people": ("carol",), "start": "2026-03-02"}
    story = Story(escalation={"fallback": ("alice",), "on_call": rota}).file_ready_task()
    story.run_command("/escalate The staging server is down.", author=BOB)
    story.reach_deadline(DeadlineKind.ESCALATION)
    same("escalation_climbs", story.comment_text())
    story.reach_deadline(DeadlineKind.ESCALATION)
    same("escalation_again", story.comment_text())
    story.apply(EscalationAnswered(ALICE, "none", "answer"))
    same("card_somebody_sees_to_it", of_card(story))
    story.reach_deadline(DeadlineKind.ESCALATION)
    same("escalation_reminder", story.comment_text())


def test_the_hand_off() -> None:
    story = second_attempt()
    story.report_run("completed", "failure", run_id=101)
    packet = story.assign("claude").packet()
    same("handoff", texts.handoff_text(dict(packet)))
    same("handoff_small", texts.handoff_text(dict(Story().file_ready_task().assign().packet())))


def test_the_messages_to_agents_that_read_comments() -> None:
    story = Story().file_ready_task().assign()
    packet = dict(story.packet())
    same("mention", texts.mention_comment(packet, "@codex"))
    same("mention_with_pages", texts.mention_comment(packet, "@codex", ["https://x/1#c1", "https://x/1#c2"]))
    same("instructions", texts.instructions_text(packet))
    same("instructions_with_pages", texts.instructions_text(packet, ["https://x/1#c1"]))
    pages = texts.handoff_pages(packet, 10)
    same("handoff_page", pages[0])
    assert texts.handoff_pages(packet) == ()
    same("stop", texts.stop_comment("@codex", 1, 2))
    same("not_theirs", texts.wrong_agent_comment(story.task, ("claude", "claude-fast")))
    same("not_theirs_unheld", texts.wrong_agent_comment(Story().file_ready_task().task, ()))
    assert texts.addressed_text("@codex", "see @alice") == "@codex see @\u200balice"


def test_a_hand_off_of_any_size_is_complete() -> None:
    packet = {**Story().file_ready_task().assign().packet(), "goal": "\n".join(f"line {n}" for n in range(20_000))}
    pages = texts.handoff_pages(packet)
    assert len(pages) > 2
    assert all(len(page) <= texts.COMMENT_LIMIT for page in pages)
    told = "".join(pages)
    assert all(f"line {n}\n" in told for n in range(20_000))


def test_our_words_in_a_persons_name_are_known() -> None:
    assert texts.has_key_marker(f"/assign codex\n{texts.comment_marker('mention:1:1')}\n")
    assert not texts.has_key_marker(f"{texts.comment_marker('mention:1:1')}\n/assign codex")


def test_the_explanation() -> None:
    candidates = (
        Candidate("claude", None, excluded="lacks tests"),
        Candidate("codex", 0.9, {"priority": 0.5, "capability": 0.3, "load": 0.1}),
    )
    ready = Story().file_ready_task().task
    chosen = replace(
        ready, choice=AssignmentDecision("codex", "codex is the only agent that can take it now", candidates, NOW)
    )
    same("explain_chosen", texts.explain_text(chosen))
    same("explain_before_the_first_choice", texts.explain_text(ready))
    same("explain_claimed", texts.explain_text(claimed().task))


def test_the_checks() -> None:
    files = (
        FileConflict("shop/a.py", own_lines=(Span(3, 9), Span(20, 20)), other_lines=(Span(4, 8), Span(18, 19))),
        FileConflict("with | and `ticks`", "modify/delete"),
    )
    task = Story().file_ready_task(text=LONG).reach_review().task
    assert task.pull
    missing = texts.done_check(task, merge_blockers(task, "person"))
    assert missing[:2] == ("action_required", "4 things missing")
    same("done_check_missing", missing[2])
    complete = texts.done_check(task, ())
    assert complete[:2] == ("success", "Nothing is missing")
    same("done_check_complete", complete[2])
    for name, tried in {
        "clean": replace(task.pull, trial_merge=TrialMerge(BASE_SHA, True)),
        "conflict": replace(task.pull, trial_merge=TrialMerge(BASE_SHA, False, files, ci_started=False)),
        "untried": replace(
            task.pull, trial_merge=TrialMerge("", None, problem="there is no branch main, says @mallory")
        ),
        "rivals": replace(
            task.pull,
            trial_merge=TrialMerge(BASE_SHA, True),
            conflicting_pulls=(
                conflicting_pull(9, first=True, waits=Precedence.THIS, files=files),
                conflicting_pull(11, waits=Precedence.OTHER, task=None, reason="It was opened later."),
                conflicting_pull(12, first=True, waits=Precedence.NEITHER, task=None, reason="Neither can wait."),
                conflicting_pull(13, first=True, waits=Precedence.THIS, is_ignored=True),
            ),
        ),
    }.items():
        same(f"conflict_check_{name}", conflict_check(tried).summary)
    told = conflict_check(replace(task.pull, trial_merge=TrialMerge(BASE_SHA, False, files))).annotations
    assert [(one.path, one.start_line, one.end_line) for one in told] == [("shop/a.py", 3, 9), ("shop/a.py", 20, 20)]
    same("conflict_check_remark", told[0].message)


def test_the_check_of_a_configuration() -> None:
    path = ".github/orchestrator.yml"
    problems = (
        Problem(3, 5, "agents.codex.capabilites", "unknown key `capabilites`", "did you mean `capabilities`?"),
        Problem(9, 1, "", "this is not valid YAML: @everyone | look"),
    )
    conclusion, title, summary, annotations = texts.config_check(path, problems)
    assert (conclusion, title) == ("failure", "2 errors in .github/orchestrator.yml")
    same("config_check_mistakes", summary)
    assert [(a.path, a.start_line, a.end_line, a.title) for a in annotations] == [
        (path, 3, 3, "agents.codex.capabilites"),
        (path, 9, 9, ""),
    ]
    assert annotations[0].message == (
        "`agents.codex.capabilites`: unknown key `capabilites`; did you mean `capabilities`?"
    )
    assert "@everyone" not in annotations[1].message
    same("config_check_good", texts.config_check(path, ())[2])


def test_a_card_says_when_the_configuration_in_force_is_an_older_one() -> None:
    story = Story().file_ready_task()
    problems = ("line 3: `agent`: unknown key `agent`; did you mean `agents`?",)
    same("status_outdated", texts.status_text(story.task, story.policy, problems))
    lost = DeadLetter("17", "UpsertCard card:1", 1, 4, "issues/create-comment 404: no | @bob <b>", NOW)
    same("status_dead_letters", texts.status_text(story.task, story.policy, dead_letters=[lost]))
    same("card_outdated", without_marker(texts.card_text(story.task, story.policy, outdated=True)))


def test_answers_without_a_task() -> None:
    same("help", texts.help_text(ALL_FORMS))
    same("how_to_begin", texts.no_task_text())
    same("no_configuration", texts.no_configuration_text())
    same("bad_configuration", texts.no_configuration_text(["line 3: `agent` is not known; did you mean `agents`?"]))


def test_help_names_every_command() -> None:
    assert all(f"`{command.example}`" in texts.help_text(ALL_FORMS) for command in COMMANDS.values())


def test_every_template_and_every_snapshot_is_used() -> None:
    source = "".join(path.read_text("utf-8") for path in sorted(Path(__file__).parent.glob("*_text*.py")))
    of_stories = {f"{kind}_{story.__name__}" for story in STORIES for kind in ("card", "status")}
    for path in SNAPSHOTS.glob("*.md"):
        assert path.stem in of_stories or f'"{path.stem}"' in source or path.stem.startswith("conflict_check_")
    templates = {
        e.name.removesuffix(".md.j2")
        for e in (resources.files(texts) / "templates").iterdir()
        if e.name.endswith(".j2")
    }
    code = "".join(path.read_text("utf-8") for path in sorted(Path(texts.__file__).parent.glob("*.py")))
    assert {name for name in templates if f'"{name}"' not in code} == set()


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"), (90, "90 s"), (119, "119 s"), (120, "2 min"), (600, "10 min"), (3599, "1 h"), (3600, "1 h"),
        (5400, "1 h 30 min"), (28800, "8 h"), (86400, "24 h"),
    ],
)  # fmt: skip
def test_durations_as_people_say_them(seconds: int, words: str) -> None:
    assert texts.format_duration(timedelta(seconds=seconds)) == words


class TestMarkers:
    def test_the_cards_marker_tells_where_the_task_stands(self) -> None:
        story = second_attempt()
        card = texts.card_text(story.task, story.policy)
        assert card.rstrip().endswith(" -->")
        packed = card.rsplit(texts.CARD_MARKER, 1)[1].split(" ")[0]
        state = json.loads(base64.urlsafe_b64decode(packed))
        assert (state["task"], state["status"], state["attempt"]) == (1, "in-progress", 2)
        assert state["lease"][:2] == ["codex", "task/1-2"]
        assert state["attempts"] == [[1, "codex", "failed", 7, "implement"]]

    def test_a_comments_marker_cannot_be_ended_from_inside(self) -> None:
        marker = texts.comment_marker("answer:--> @everybody <!--")
        assert marker.count("-->") == 1
        assert texts.comment_marker("a") != texts.comment_marker("b")


def test_a_packet_too_large_for_a_dispatch_comes_back_whole() -> None:
    packet = {"goal": "ä" * 50_000, "notes": "--> @everybody"}
    comments = texts.packet_comments(packet, "codex", 2)
    assert len(comments) == 3
    assert all(len(comment) < texts.COMMENT_LIMIT for comment in comments)
    assert "@everybody" not in "".join(comments)


def test_the_answers_to_task() -> None:
    goal = ("Goal",)
    told = (
        task_text(template="bug", headings=("Goal", "Acceptance criteria")),
        task_text(template="voucher", is_own_template=True, headings=goal, broken={"a/`b.yml": "line 1: @all"}),
        task_text(template="bug"),
        task_text(suggested=("bug", "payment")),
        task_text(status="pending", suggested=("bug",)),
        task_text(status="ready", suggested=("bug", "payment")),
        task_text(status="ready", suggested=tuple("abcdef")),
        task_text(dry_run=True, template="bug", headings=("Goal", "Estimate")),
        task_text(dry_run=True),
    )
    same("task", "\n\n---\n\n".join(told))
    assert task_text() == ""


def test_a_stalled_task_says_so_once() -> None:
    story = in_review()
    assert "counts as stalled" in of_card(story)
    stalled = replace(story.task, flags={Flag.STALLED: "Nothing moves."}, wait_restarted_at=NOW + timedelta(days=1))
    assert "counts as stalled" not in texts.card_text(stalled, story.policy)
    assert OTHER_SHA not in of_card(story)
