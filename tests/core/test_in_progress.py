"""Who waits for whom, by forecast; and how likely two tasks are to meet in a file."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from core.audit.events import EventType
from core.conflicts.hold import Hold
from core.conflicts.in_progress import InProgressTask, first_overlapping, has_stopped, in_progress_of, overlapping
from core.decide import Decision
from core.forecast.model import Forecast, PredictedFile, change_probabilities, overlap
from core.signals.base import BlockerCleared, OverlapPredicted
from core.task.model import Flag, Priority, Role, Status
from tests.builders import BOB, Story, issue

_weights = st.dictionaries(st.sampled_from("abcdef"), st.floats(0, 1), max_size=6)


@given(_weights, _weights)
def test_an_overlap_is_symmetric_and_bounded(one: dict[str, float], other: dict[str, float]) -> None:
    there, back = overlap(one, other), overlap(other, one)
    assert there == back
    assert 0 <= there.probability <= 1
    assert set(there.files) <= one.keys() & other.keys()
    assert bool(there.files) or there.probability == 0


@given(_weights, _weights, st.sampled_from("abcdef"), st.floats(0, 1))
def test_an_overlap_grows_with_what_is_likelier(
    one: dict[str, float], other: dict[str, float], path: str, weight: float
) -> None:
    more = {**one, path: max(weight, one.get(path, 0.0))}
    assert overlap(more, other).probability >= overlap(one, other).probability - 1e-12


def test_an_overlap_by_hand() -> None:
    assert overlap({"a": 0.5}, {"a": 0.5, "b": 1.0}).probability == 0.25
    shared = overlap({"a": 0.5, "b": 0.9}, {"a": 1.0, "b": 1.0})
    assert (round(shared.probability, 6), shared.files) == (0.95, ("b", "a"))
    assert change_probabilities([PredictedFile("a", 0.4, "")], ["b"]) == {"a": 0.4, "b": 1.0}


def _forecast(**weights: float) -> Forecast:
    return Forecast(tuple(PredictedFile(path, weight, "because") for path, weight in weights.items()), "d", True)


def _standing(number: int = 1, **changes: object) -> InProgressTask:
    values: dict[str, object] = {
        "number": number, "status": Status.IN_PROGRESS, "priority": Priority.P2, "is_assignable": False,
        "is_unblocked": True,
        "flags": (), "has_started": True, "agent": "codex", "pull_open": False, "changed_files": (),
        "predicted_files": (PredictedFile("cart", 0.9, ""),), **changes,
    }  # fmt: skip
    return InProgressTask(**values)  # type: ignore[arg-type]


def _ready(number: int = 5, forecast: Forecast | None = None, **changes: object) -> Story:
    story = Story()
    story.issue = issue(number)
    story.file_ready_task()
    story.current_task = replace(story.task, forecast=forecast or _forecast(cart=0.9), **changes)  # type: ignore[arg-type]
    return story


def _waits(task_changes: dict[str, object], *others: InProgressTask, threshold: float = 0.5) -> int | None:
    found = first_overlapping(_ready(**task_changes).task, others, threshold)  # type: ignore[arg-type]
    return found[0].number if found else None


def test_it_waits_behind_the_one_that_it_most_likely_meets() -> None:
    likely, likelier = _standing(1), _standing(2, status=Status.REVIEW, pull_open=True, changed_files=("cart",))
    assert _waits({}, likely, likelier) == 2
    assert _waits({}, likely, _standing(3)) == 1, "of two alike the older"
    assert _waits({}, _standing(1, predicted_files=(PredictedFile("tax", 0.9, ""),))) is None
    assert _waits({}, likely, threshold=0.81) is None, "it has to be likelier than that"
    assert _waits({}, likelier, threshold=1) is None, "1 is never reached"
    assert _waits({}, _standing(1, status=Status.REVIEW, pull_open=True, changed_files=("tax",))) is None, (
        "what is, counts"
    )
    assert _waits({}, _standing(1, pull_open=True, changed_files=("tax",))) == 1, "and of a draft, what may come"
    assert _waits({"forecast": Forecast()}, likely) is None


def test_no_task_waits_for_a_stalled_one() -> None:
    assert overlapping(_standing())
    assert not overlapping(_standing(is_unblocked=False))
    assert not overlapping(_standing(has_started=False))
    assert not overlapping(_standing(flags=("needs-human",)))
    assert not overlapping(_standing(status=Status.FAILED))
    assert not overlapping(_standing(status=Status.READY))
    assert overlapping(_standing(status=Status.READY, is_assignable=True)), "it was tried, and goes on"


def test_a_p0_waits_behind_nothing_less_urgent() -> None:
    urgent: dict[str, object] = {"priority": Priority.P0}
    assert _waits(urgent, _standing(1, priority=Priority.P1)) is None
    assert _waits(urgent, _standing(1, priority=Priority.P0)) == 1
    assert _waits({"priority": Priority.P1}, _standing(1)) == 1


def test_whose_work_was_begun_waits_no_more() -> None:
    story = _ready(1)
    assert first_overlapping(story.task, [_standing(2)], 0.5)
    story.assign().start_run().report_run("completed", "failure")
    assert story.task.status is Status.READY
    assert first_overlapping(story.task, [_standing(2)], 0.5) is None
    assert overlapping(in_progress_of(story.task))
    planning = _ready(1).assign(role=Role.PLAN)
    assert not overlapping(in_progress_of(planning.task)), "a plan changes no files"


def test_a_blocked_task_counts_as_stopped() -> None:
    story = _ready(1).assign().start_run()
    before = story.task
    story.run_command("/block legal has to agree")
    assert has_stopped(before, story.task)
    assert not has_stopped(None, story.task)
    assert not has_stopped(story.task, story.task)


def _held(story: Story) -> Decision:
    return story.apply(OverlapPredicted(12, ("cart`|.py", "tax.py", "a", "b", "c"), 0.8125, "claude"))


def test_what_is_said_of_it() -> None:
    story = _ready(1)
    _held(story)
    held = story.task.hold
    assert held == Hold("", story.now, blocker="#12", files=("cart`|.py", "tax.py", "a", "b", "c"))
    said = "Waiting for #12: both will probably change `cart\u2019\u2223.py`, `tax.py`, `a` and 2 more."
    assert story.task.flags[Flag.BLOCKED] == f"{said} To start anyway, comment `/unblock`."
    [event] = story.last_decision.events
    assert event.type is EventType.CONFLICT_DETECTED
    told = {key: event.payload[key] for key in ("kind", "tasks", "agents", "severity", "probability")}
    assert told == {"kind": "overlap", "tasks": [12, 1], "agents": ["claude"], "severity": "low", "probability": 0.812}
    assert event.payload["files"][1] == "tax.py"
    assert not _held(story).events, "old news"


def test_a_person_lets_it_go_for_good() -> None:
    for command in ("/unblock", "/resume"):
        story = _ready(1)
        _held(story)
        story.run_command(command, author=BOB)
        assert story.task.hold is None
        assert Flag.BLOCKED not in story.task.flags
        assert story.task.ignored_overlaps == (12,)
        assert story.has_event(EventType.CONFLICT_RESOLVED)
        _held(story)
        assert story.task.hold is None, "not behind that one again"
        assert first_overlapping(story.task, [_standing(12)], 0.5) is None
    story = _ready(1)
    _held(story)
    story.remove_label("blocked")
    assert (story.task.hold, story.task.ignored_overlaps) == (None, (12,))


def test_a_persons_own_hold_takes_its_place() -> None:
    story = _ready(1)
    _held(story)
    story.run_command("/pause not this week")
    assert story.task.hold
    assert story.task.hold.is_paused
    story.apply(BlockerCleared(12))
    assert story.task.hold


def test_the_hold_ends_when_the_other_is_over_or_stalled() -> None:
    story = _ready(1)
    _held(story)
    story.apply(BlockerCleared(11))
    assert story.task.hold
    story.apply(BlockerCleared(12, is_finished=False))
    assert story.task.hold is None
    story.run_command("/block legal has to agree")
    story.current_task = replace(story.task, hold=Hold("bob", story.now, blocker="#12"))
    story.apply(BlockerCleared(12, is_finished=False))
    assert story.task.hold, "a person waits until it is over"


def test_a_task_that_becomes_a_p0_is_evaluated_again() -> None:
    story = _ready(1)
    _held(story)
    story.run_command("/priority P1")
    assert story.task.hold
    story.run_command("/priority P0")
    assert story.task.hold is None
    assert Flag.BLOCKED not in story.task.flags
    _held(story)
    story.run_command("/explain")
    assert story.task.hold, "behind another P0 it waits all the same"


def test_a_person_may_work_on_a_held_task() -> None:
    story = _ready(1)
    _held(story)
    story.see_pull(7, attempt=None, branch="by-hand", author=BOB)
    assert story.task.status is Status.REVIEW
    assert story.task.hold is None
    assert Flag.BLOCKED not in story.task.flags
