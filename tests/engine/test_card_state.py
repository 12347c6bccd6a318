"""The sealed state in a card: complete, bounded, and bound to its task."""

from __future__ import annotations

import base64
import zlib
from dataclasses import replace
from datetime import timedelta
from functools import cache

import pytest

from adapters.database.codec import task_to_json
from adapters.github.models.graphql import CommentNode
from core.handoff.feedback import Feedback
from core.task.model import Plan, Status, Task
from core.texts import CARD_MARKER
from engine.card_state import MAX_MARKER_LENGTH, BadCardState, CardStateCodec
from engine.restore import restore_from_card, resume_clock
from tests.adapters.github_server import private_key
from tests.builders import NOW, SHA, Story, failed_check, policy

APP = 77


@cache
def other_key() -> str:
    """The key of another App, or a former one of ours."""
    made: str = private_key.__wrapped__()
    return made


def seal(*former: str) -> CardStateCodec:
    """Ours."""
    return CardStateCodec(APP, private_key(), *former)


def read(body: str, by: CardStateCodec | None = None, repository: int = 42, number: int = 1) -> object:
    """The state as it is read."""
    return (by or seal()).read(f"A card.\n\n{body}\n", repository, number)


def lived() -> Task:
    """A task in its second attempt, with a hold and a plan."""
    story = Story().file_ready_task().reach_review()
    story.review_pull("changes_requested", text="Use fewer words.")
    story.assign("claude").start_run(run_id=101)
    story.run_command("/pause until Monday")
    return replace(story.task, plan=Plan("Do it well.", "chatgpt", 1, NOW))


def test_what_is_sealed_comes_back_whole() -> None:
    task = lived()
    state = read(seal().make_marker(task))
    assert isinstance(state, dict)
    back = restore_from_card(Story().file_ready_task().task, state)
    assert task_to_json(replace(back, forecast=None)) == task_to_json(replace(task, forecast=None))


def test_a_seal_is_of_one_app_one_repository_and_one_issue() -> None:
    marker = seal().make_marker(lived())
    for by, repository, number in (
        (CardStateCodec(APP + 1, private_key()), 42, 1),
        (CardStateCodec(APP, other_key()), 42, 1),
        (None, 43, 1),
        (None, 42, 2),
    ):
        with pytest.raises(BadCardState, match="not valid for this App and issue"):
            read(marker, by, repository, number)


def test_what_a_former_key_sealed_is_read_with_it() -> None:
    marker = CardStateCodec(APP, other_key()).make_marker(lived())
    assert read(marker, seal(other_key())) == read(CardStateCodec(APP, private_key()).make_marker(lived()))


def test_the_key_is_what_counts_and_not_how_its_file_is_written() -> None:
    marker = seal().make_marker(lived())
    assert read(marker, CardStateCodec(APP, private_key().replace("\n", "\r\n")))
    with pytest.raises(ValueError, match="not a private key"):
        CardStateCodec(APP, "a secret")


def test_a_changed_letter_breaks_it() -> None:
    marker = seal().make_marker(lived())
    packed = marker.removeprefix(CARD_MARKER).removesuffix(" -->")
    for at in (3, len(packed) // 2, packed.rindex(".") + 5):
        changed = packed[:at] + ("A" if packed[at] != "A" else "B") + packed[at + 1 :]
        with pytest.raises(BadCardState):
            read(f"{CARD_MARKER}{changed} -->")


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("Nothing hidden.", "no hidden state"),
        (f"{CARD_MARKER}eyJ2IjoxfQ== -->", "from a version"),
        (f"{CARD_MARKER}v2 -->", "from a version"),
        (f"{CARD_MARKER}v2.\udcff.ü -->", "not valid for this App"),
        (f"{CARD_MARKER}v2.x.y --> and more", "no hidden state"),
    ],
)
def test_what_is_no_sealed_state_says_why(body: str, why: str) -> None:
    with pytest.raises(BadCardState, match=why):
        read(body)


def test_a_state_that_never_ends_is_not_unpacked() -> None:
    ours = seal()
    for raw in (zlib.compress(b" " * 50_000_000), zlib.compress(b"[1]"), b"none"):
        packed = base64.urlsafe_b64encode(raw).decode().rstrip("=")
        mac = ours._mac(ours._keys[0], 42, 1, packed)
        with pytest.raises(BadCardState, match="cannot be read"):
            read(f"{CARD_MARKER}v2.{packed}.{mac} -->")


def test_however_much_happened_it_fits_and_keeps_what_counts() -> None:
    task = lived()
    noise = "".join(chr(33 + (n * n * 7919) % 90) for n in range(3_000))
    long = Feedback("ci:1", "CI failed", noise, NOW, SHA, tuple(failed_check(log_tail=noise[::-1]) for _ in range(5)))
    history = tuple(replace(task.history[0], number=n, feedback=long, reason=noise) for n in range(1, 60))
    task = replace(task, history=history, attempt=60, retry_offset=50, plan=Plan(noise, "chatgpt", 1, NOW))
    for room in (MAX_MARKER_LENGTH, 6_000):
        marker = seal().make_marker(task, room)
        assert len(marker) <= room
        state = read(marker)
        assert isinstance(state, dict)
        back = restore_from_card(Story().file_ready_task().task, state)
        assert (back.attempt, back.lease, back.hold) == (60, task.lease, task.hold)
        assert [one.number for one in back.counted_attempts] == [one.number for one in task.counted_attempts]
    assert len(seal().make_marker(task, 100)) < 100


def test_only_what_is_ours_and_untouched_is_a_card() -> None:
    us, alice = (
        {"__typename": "Bot", "login": "o", "databaseId": 9},
        {"__typename": "User", "login": "a", "databaseId": 1},
    )
    for author, editor, ours in ((us, None, True), (us, us, True), (us, alice, False), (alice, None, False)):
        told = {"fullDatabaseId": "1", "body": "", "author": author, "editor": editor}
        assert CommentNode.model_validate(told).is_by(9) is ours
    assert not CommentNode.model_validate({"fullDatabaseId": "1"}).is_by(9)


class TestWhatHappenedAfterTheCard:
    """Labels that we set and traces of attempts tell more than a card that was not written any more."""

    def after(self, task: Task, attempt: int, *labels: str, how: str = "card") -> Task:
        return resume_clock(task, policy(), attempt, frozenset(labels), how, NOW + timedelta(hours=1))

    def test_an_agent_that_was_started_has_it(self) -> None:
        task = self.after(Story().file_ready_task().task, 1, "agent:codex", "status:in-progress")
        assert task.lease
        assert (task.status, task.attempt, task.lease.agent, task.lease.branch) == (
            Status.IN_PROGRESS,
            1,
            "codex",
            "task/1-1",
        )

    def test_a_number_that_left_a_trace_is_not_given_again(self) -> None:
        for labels in ((), ("agent:unknown", "status:in-progress"), ("status:in-progress",)):
            task = self.after(Story().file_ready_task().task, 3, *labels)
            assert (task.status, task.attempt, task.lease) == (Status.READY, 3, None)

    def test_an_unknown_number_belongs_to_no_task(self) -> None:
        assert self.after(Story().file_ready_task().task, 999_999).attempt == 0

    def test_what_the_card_knows_better_stands(self) -> None:
        task = lived()
        assert self.after(task, 2, "agent:codex", "status:in-progress") == task

    def test_without_a_card_a_task_that_was_given_up_stays_so(self) -> None:
        assert self.after(Story().file_ready_task().task, 3, "status:failed", how="labels").status is Status.FAILED
        assert self.after(Story().file_ready_task().task, 3, "status:failed").status is Status.READY
