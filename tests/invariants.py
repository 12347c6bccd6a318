"""What holds for every task, whatever happened to it."""

from __future__ import annotations

from adapters.database.codec import task_from_json, task_to_json
from config.repository import RepositoryConfig
from core.task.deadlines import DeadlineKind, deadlines_of
from core.task.labels import labels_of
from core.task.model import Flag, Role, Status, Task


def assert_invariants(task: Task, config: RepositoryConfig) -> None:
    """What is true of any task after any decision."""
    labels = labels_of(task)
    assert [label for label in labels if label.startswith("status:")] == [f"status:{task.status}"]
    assert len([label for label in labels if label in {"P0", "P1", "P2"}]) == 1
    assert len([label for label in labels if label.startswith("type:")]) == 1
    assert len([label for label in labels if label.startswith("agent:")]) == bool(task.lease)
    numbers = [attempt.number for attempt in task.history]
    assert len(numbers) == len(set(numbers)), "no attempt ends twice"
    for role in Role:
        role_numbers = [attempt.number for attempt in task.history if attempt.role is role]
        assert role_numbers == sorted(role_numbers), "attempts grow"
    assert max(numbers, default=0) <= task.attempt
    if task.lease:
        assert task.lease.attempt not in numbers
        assert task.lease.attempt == task.attempt or task.status is Status.REVIEW
        assert task.status is Status.IN_PROGRESS or (task.status, task.lease.role) == (Status.REVIEW, Role.IMPLEMENT)
    if task.review_lease:
        assert task.status is Status.REVIEW
        assert (task.review_lease.role, task.review_lease.attempt) == (Role.REVIEW, task.attempt)
        assert task.lease is None or task.lease.agent != task.review_lease.agent, "no agent reviews its own work"
    if task.status is Status.IN_PROGRESS:
        assert task.lease
    if task.status is Status.REVIEW:
        assert task.pull
    if task.status in (Status.PENDING, Status.READY):
        assert task.pull is None
        assert bool(task.readiness_problems) == (task.status is Status.PENDING)
    if task.status is Status.READY:
        assert task.issue_open
        assert task.approved_digest == task.text_digest
    kinds = {deadline.kind for deadline in deadlines_of(task, config.timeouts)}
    assert bool(kinds) == (task.status is not Status.DONE)
    is_active = task.status in (Status.IN_PROGRESS, Status.REVIEW) and not (task.hold and task.hold.is_paused)
    assert (DeadlineKind.STALL in kinds) == is_active, "a task in progress may stall, with any holder"
    if task.stall:
        assert is_active
        assert Flag.STALLED in task.flags
    assert task_from_json(task_to_json(task)) == task
