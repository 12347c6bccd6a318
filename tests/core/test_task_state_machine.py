"""The life of a small repository under everything that can happen, in any order: what must hold, holds.

The shell below does what the unit of work does (decide, keep, tell dependents, assign), with dictionaries for tables.
The world sends news of itself, and any old news may arrive again at any time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from core.assignment.rules import exclusions, next_role
from core.commands.permissions import ROLES
from core.conflicts.in_progress import in_progress_of, overlapping
from core.conflicts.pulls import FileConflict, Precedence, TrialMerge
from core.decide.commands.registry import COMMANDS
from core.effects.base import UpdateBranch
from core.forecast.model import Forecast, PredictedFile
from core.signals.base import (
    AgentMessageResult,
    AgentSeen,
    AgentStarted,
    AgentStartFailed,
    BaseMoved,
    BranchUpdateDone,
    ChecksSeen,
    CommandReceived,
    DeadlineDue,
    IssueFacts,
    IssueSeen,
    MergeRefused,
    PlanDelivered,
    PullSeen,
    ReviewDelivered,
    ReviewSeen,
    Signal,
    TrialMergeDone,
    UpdateOutcome,
)
from core.stall.model import CheckWaitReason
from core.task.deadlines import DeadlineKind, deadlines_of
from core.task.dependencies import Dependency
from core.task.model import Actor, ChecksState, Role, SessionState, Status, Task
from tests.builders import ALICE, BOB, CRITIC, MALLORY, ROBOT, body, conflicting_pull, failed_check, issue, pull
from tests.core.lifecycle_model import InMemoryUnitOfWork
from tests.suite import examples

US = Actor(99, "orchestrator[bot]", is_bot=True)
WRITERS = (ALICE, BOB)
NUMBERS = (1, 2, 3, 4)
LABELS = (
    "task", "P0", "P1", "urgent", "bug", "type:functional", "needs:python", "needs:cobol", "blocked", "needs-human",
    "status:pending", "status:ready", "status:in-progress", "status:review", "status:done", "status:failed",
)  # fmt: skip


SUCCESS = ChecksState.SUCCESS
people = st.sampled_from([ALICE, BOB, MALLORY])
numbers = st.sampled_from(NUMBERS)
shas = st.sampled_from([c * 40 for c in "abcd"])


class Life(RuleBasedStateMachine):
    """A repository with four issues that may depend on each other, three people and two agents."""

    def __init__(self) -> None:
        super().__init__()
        self.shell = InMemoryUnitOfWork()
        self.issues: dict[int, IssueFacts] = {}
        self.news: list[tuple[int, Signal]] = []  # everything ever told, to be told again
        self.goals = 0
        self.keys = 0
        self.shell.is_closed = lambda number: number in self.issues and not self.issues[number].open

    def tick(self) -> datetime:
        self.shell.now += timedelta(seconds=20)
        return self.shell.now

    def hear(self, number: int, *signals: Signal) -> None:
        self.news += [(number, signal) for signal in signals if not isinstance(signal, CommandReceived)]
        for signal in signals:
            self.shell.apply(number, signal)
        self.shell.assign_all()

    def show(self, number: int, sender: Actor | None, label: str | None = None, added: bool = False) -> None:
        facts = self.issues[number]
        writes = sender in WRITERS
        approves = label is None or (added and label in ("task", "status:ready")) or sender == facts.author
        if writes and facts.open and approves:
            self.shell.approved_goals.add(facts.intake.goal)
        references = {f"#{d.number}": Dependency(self.is_closed(d.number)) for d in facts.intake.dependencies}
        self.hear(
            number,
            IssueSeen(
                facts,
                sender=sender,
                sender_can_write=writes,
                sender_is_us=sender == US,
                label=label,
                label_added=added,
                dependencies=references,
                forecast=Forecast((PredictedFile("a.py", 0.9, "so it is"),), facts.intake.goal, True),
            ),
        )

    def is_closed(self, number: int) -> bool | None:
        return not self.issues[number].open if number in self.issues else None

    def current(self, number: int) -> Task | None:
        return self.shell.tasks.get(number)

    # People and issues

    @initialize(priorities=st.lists(st.sampled_from(["P0", "P1", ""]), min_size=3, max_size=3), chain=st.booleans())
    def backlog(self, priorities: list[str], chain: bool) -> None:
        """Three good tasks are there from the start; the third may wait for the first."""
        for number, priority in enumerate(priorities, 1):
            self.write_issue(number, ALICE, 1, True, "", priority, [1] if chain and number == 3 else [])

    @rule(
        number=numbers,
        author=people,
        criteria=st.sampled_from([1, 1, 2, 0]),
        ticked=st.booleans(),
        needs=st.sampled_from(["", "", "python", "docs", "cobol"]),
        priority=st.sampled_from(["", "", "P0", "P1", "P9"]),
        behind=st.just([]) | st.lists(st.sampled_from([1, 2, 3, 4, 5]), max_size=2),
    )
    def write_issue(
        self, number: int, author: Actor, criteria: int, ticked: bool, needs: str, priority: str, behind: list[int]
    ) -> None:
        """Opens the issue, or edits it: only its author and writers can."""
        there = self.issues.get(number)
        if there and author not in (*WRITERS, there.author):
            author = there.author
        self.goals += 1
        headings = {k: v for k, v in (("required_capabilities", needs), ("priority", priority)) if v}
        if behind:
            headings["dependencies"] = ", ".join(f"#{n}" for n in behind)
        text = body(
            f"Reach goal {self.goals}.", tuple(f"it does {n}" for n in range(criteria)), ticked=ticked, **headings
        )
        self.issues[number] = issue(
            number,
            title=f"Goal {self.goals}",
            text=text,
            labels=tuple(there.labels) if there else ("task",),
            author=there.author if there else author,
            closed=not there.open if there else False,
            at=self.tick(),
        )
        self.show(number, author)

    @rule(number=numbers, who=st.sampled_from([ALICE, BOB, US]), label=st.sampled_from(LABELS), add=st.booleans())
    def label(self, number: int, who: Actor, label: str, add: bool) -> None:
        if number in self.issues:
            facts = self.issues[number]
            labels = facts.labels | {label} if add else facts.labels - {label}
            self.issues[number] = replace(facts, labels=labels, updated_at=self.tick())
            self.show(number, who, label, add)

    @rule(number=numbers, who=st.sampled_from([ALICE, MALLORY, US, None]), planned=st.booleans())
    def close_or_reopen(self, number: int, who: Actor | None, planned: bool) -> None:
        if number in self.issues:
            facts = self.issues[number]
            not_planned = facts.open and not planned
            self.issues[number] = replace(facts, open=not facts.open, not_planned=not_planned, updated_at=self.tick())
            self.show(number, who)

    @precondition(lambda self: self.news)
    @rule(which=st.integers(0, 1000))
    def tell_again(self, which: int) -> None:
        """Old news comes late, or a second time."""
        number, signal = self.news[-1 - which % min(30, len(self.news))]
        self.shell.apply(number, signal)
        self.shell.assign_all()

    @rule(
        number=numbers,
        who=people,
        role=st.sampled_from(["write", *ROLES]),
        command=st.sampled_from([*COMMANDS, "retyr"]),
        argument=st.sampled_from(["", "P0", "p1", "rebase"]),
    )
    def command(self, number: int, who: Actor, role: str, command: str, argument: str) -> None:
        self.keys += 1
        self.tick()
        task = self.current(number)
        role = role if who in WRITERS else "read"
        if command == "ready" and task and role in ("write", "maintain", "admin"):
            self.shell.approved_goals.add(task.intake.goal)
        self.hear(number, CommandReceived(number, command, argument, who, role, f"{self.keys}:1", comment_id=self.keys))

    # Agents

    def one_of(self, which: int, fits: Callable[[Task], object]) -> Task | None:
        fitting = [task for _, task in sorted(self.shell.tasks.items()) if fits(task)]
        return fitting[which % len(fitting)] if fitting else None

    @rule(
        which=numbers,
        late=st.sampled_from([0, 0, 0, 1]),
        state=st.sampled_from([SessionState.QUEUED, SessionState.WORKING, *SessionState]),
        run=st.integers(100, 102),
    )
    def run_news(self, which: int, late: int, state: SessionState, run: int) -> None:
        if task := self.one_of(which, lambda t: t.attempt):
            at = self.tick()
            self.hear(task.number, AgentSeen(task.attempt - late, state, at, str(run), "https://ci/1"))

    @rule(which=numbers, late=st.sampled_from([0, 0, 1]), went=st.booleans())
    def start_news(self, which: int, late: int, went: bool) -> None:
        if task := self.one_of(which, lambda t: t.lease):
            self.tick()
            attempt = task.attempt - late
            signal = AgentStarted(attempt) if went else AgentStartFailed(attempt, "There is no workflow.")
            self.hear(task.number, signal)

    @rule(which=numbers, late=st.sampled_from([0, 0, 0, 1, 2]), text=st.sampled_from(["First this.", "<!-- -->"]))
    def plan(self, which: int, late: int, text: str) -> None:
        """A plan comes; it may be one of an attempt that is over."""
        if task := self.one_of(which, lambda t: t.attempt):
            self.tick()
            self.hear(task.number, PlanDelivered(task.attempt - late, text))

    @rule(which=numbers, late=st.sampled_from([0, 0, 0, 1, 2]), approves=st.booleans())
    def verdict(self, which: int, late: int, approves: bool) -> None:
        """A reviewing agent's verdict comes; it may be one of an attempt that is over."""
        task = self.one_of(which, lambda t: t.review_lease) or self.one_of(which, lambda t: t.attempt)
        if task:
            self.tick()
            self.hear(task.number, ReviewDelivered(task.attempt - late, approves, "Hm, @all."))

    @rule(which=numbers, how_far=st.integers(0, 3))
    def goes_well(self, which: int, how_far: int) -> None:
        """All goes as it should, up to some point: planned, handed in, checks passed, approved, merged."""
        if task := self.one_of(which, lambda t: t.status is Status.IN_PROGRESS):
            if task.lease and task.lease.role is Role.PLAN:
                self.hear(task.number, PlanDelivered(task.attempt, "First this, then that."))
                task = self.shell.tasks[task.number]
            if task.status is not Status.IN_PROGRESS:
                return
            branch = f"task/{task.number}-{task.attempt}"
            facts = pull(task.number * 100 + task.attempt, branch=branch, sha="a" * 40, at=self.tick())
            merged = replace(facts, merged=True, open=False, updated_at=facts.updated_at + timedelta(seconds=9))
            steps: list[list[Signal]] = [
                [PullSeen(facts, task.attempt, author_can_write=True)],
                [TrialMergeDone(facts.number, facts.head_sha, "e" * 40, True), ChecksSeen(facts.head_sha, SUCCESS)],
                [ReviewDelivered(task.attempt + 1, True, "Good.")],
                [PullSeen(merged, None, author_can_write=False)],
            ]
            for step in steps[: how_far + 1]:
                self.hear(task.number, *step)

    # Pull requests

    @rule(
        which=numbers,
        late=st.sampled_from([0, 0, 0, 1]),
        sha=shas,
        draft=st.booleans(),
        fork=st.sampled_from([False, False, False, True]),
        state=st.sampled_from(["open", "open", "open", "closed", "merged"]),
        lag=st.sampled_from([0, 0, 90]),
    )
    def agents_pull(self, which: int, late: int, sha: str, draft: bool, fork: bool, state: str, lag: int) -> None:
        """A pull request from a branch of ours: each attempt has one."""
        if task := self.one_of(which, lambda t: t.attempt):
            attempt = task.attempt - late
            facts = pull(
                task.number * 100 + attempt,
                branch=f"task/{task.number}-{attempt}",
                sha=sha,
                draft=draft,
                fork=fork,
                closed=state == "closed",
                merged=state == "merged",
                at=self.tick() - timedelta(seconds=lag),
            )
            self.hear(task.number, PullSeen(facts, attempt, author_can_write=True, closed_by_us=lag == 90))

    @rule(
        which=numbers,
        author=st.sampled_from([ALICE, MALLORY, ROBOT]),
        sha=shas,
        draft=st.booleans(),
        state=st.sampled_from(["open", "open", "closed", "merged"]),
    )
    def foreign_pull(self, which: int, author: Actor, sha: str, draft: bool, state: str) -> None:
        """A pull request from a branch with any name, linked by its closing words."""
        if task := self.one_of(which, lambda t: True):
            facts = pull(
                task.number * 100 + 50 + author.id,
                branch="patch",
                sha=sha,
                draft=draft,
                author=author,
                closed=state == "closed",
                merged=state == "merged",
                at=self.tick(),
            )
            self.hear(task.number, PullSeen(facts, None, author_can_write=author != MALLORY))

    @rule(
        which=numbers,
        state=st.sampled_from(ChecksState),
        sha=st.none() | shas,
        wait=st.none() | st.sampled_from(CheckWaitReason),
    )
    def checks(self, which: int, state: ChecksState, sha: str | None, wait: CheckWaitReason | None) -> None:
        task = self.one_of(which, lambda t: t.pull)
        if task and task.pull:
            self.tick()
            failed = (failed_check(),) if state is ChecksState.FAILURE else ()
            self.hear(task.number, ChecksSeen(sha or task.pull.head_sha, state, failed, wait))

    @rule(
        which=numbers,
        clean=st.sampled_from([True, True, False, None]),
        waits=st.none() | st.lists(st.sampled_from(Precedence), max_size=2),
    )
    def merge_tried(self, which: int, clean: bool | None, waits: list[Precedence] | None) -> None:
        task = self.one_of(which, lambda t: t.pull)
        if task and task.pull:
            self.tick()
            trial = TrialMerge("e" * 40, clean, (FileConflict("a.py"),))
            rivals = (
                None if waits is None else tuple(conflicting_pull(900 + n, waits=turn) for n, turn in enumerate(waits))
            )
            self.hear(
                task.number,
                TrialMergeDone.from_trial_merge(task.pull.number, task.pull.head_sha, trial, ("a.py",), rivals),
            )

    @rule(which=numbers, refused=st.sampled_from([None, "Required status check is expected.", "Head is out of date."]))
    def base_or_refusal(self, which: int, refused: str | None) -> None:
        task = self.one_of(which, lambda t: t.pull)
        if task and task.pull:
            self.tick()
            refusal = MergeRefused(task.pull.number, task.pull.head_sha, refused or "")
            self.hear(task.number, refusal if refused else BaseMoved("main", "e" * 40))

    @rule(
        which=numbers, outcome=st.sampled_from(["done", "current", "conflict", "moved", "refused"]), old=st.booleans()
    )
    def update_tried(self, which: int, outcome: UpdateOutcome, old: bool) -> None:
        task = self.one_of(which, lambda t: t.pull)
        if task and task.pull:
            self.tick()
            at = task.pull
            head = "f" * 40 if old else at.head_sha
            trial = (
                TrialMergeDone(at.number, head, "e" * 40, False, (FileConflict("a.py"),))
                if outcome == "conflict"
                else None
            )
            asked = UpdateBranch(task.number, at.number, at.branch, at.base, head, "e" * 40)
            self.hear(task.number, BranchUpdateDone(asked, outcome, "No.", trial))

    @rule(
        which=numbers,
        who=st.sampled_from([ALICE, CRITIC, MALLORY, ROBOT]),
        sha=st.none() | shas,
        state=st.sampled_from(["approved", "approved", "changes_requested", "commented", "dismissed"]),
    )
    def review(self, which: int, who: Actor, sha: str | None, state: str) -> None:
        task = self.one_of(which, lambda t: t.pull)
        if task and task.pull:
            self.tick()
            self.keys += 1
            sha = sha or task.pull.head_sha
            self.hear(
                task.number, ReviewSeen(self.keys, task.pull.number, sha, who, who != MALLORY, state, "Hm, @all.")
            )

    # The clock

    @rule(which=numbers, kind=st.integers(0, 2))
    def deadline(self, which: int, kind: int) -> None:
        timeouts = self.shell.policy.timeouts
        if task := self.one_of(which, lambda t: deadlines_of(t, timeouts)):
            due = deadlines_of(task, timeouts)
            deadline = due[kind % len(due)]
            self.shell.now = max(self.shell.now, deadline.due_at)
            self.hear(task.number, DeadlineDue(deadline.kind.value, deadline.attempt))

    @rule(which=numbers, moves=st.booleans(), taken=st.booleans())
    def at_a_standstill(self, which: int, moves: bool, taken: bool) -> None:
        """Nothing moves for so long that it is a stall; then its agent pushes, or the ladder is climbed to its end."""
        task = self.one_of(which, lambda t: t.status in (Status.IN_PROGRESS, Status.REVIEW))
        for rung in range(4):
            waits = deadlines_of(task, self.shell.policy.timeouts) if task and not task.untracked else ()
            due = next((d for d in waits if d.kind is DeadlineKind.STALL), None)
            if task is None or due is None:
                return
            self.shell.now = max(self.shell.now, due.due_at)
            self.hear(task.number, DeadlineDue(due.kind.value, due.attempt))
            task = self.current(task.number)
            if task is None or task.stall is None:
                return  # another agent has it, or the queue
            assert task.stall.next_at > self.shell.now
            assert len(task.stall.steps_taken) <= 3
            self.hear(task.number, AgentMessageResult(task.attempt, task.stall.topic, taken))
            if moves and rung and task.lease:
                self.hear(task.number, AgentSeen(task.lease.attempt, SessionState.WORKING, self.tick(), from_push=True))
                task = self.current(task.number)
                assert task
                assert task.stall is None

    @invariant()
    def no_agent_exceeds_its_limit(self) -> None:
        for hand in self.shell.agents():
            assert hand.active_tasks <= hand.max_tasks

    @invariant()
    def no_task_waits_for_a_stalled_one(self) -> None:
        for task in self.shell.tasks.values():
            if task.hold and task.hold.is_forecast and not task.untracked:
                assert task.status is Status.READY
                assert overlapping(in_progress_of(self.shell.tasks[int(task.hold.blocker[1:])]))

    @invariant()
    def no_task_waits_while_an_agent_is_free(self) -> None:
        """What is ready and was not handed out has a reason for each agent."""
        agents = self.shell.agents()
        for task in self.shell.tasks.values():
            if self.shell.needs_agent(task):
                assert all(exclusions(task, agents, next_role(task, agents, "agent")).values())


Life.TestCase.settings = settings(
    examples(80, quick=15),
    stateful_step_count=40,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
TestLife = Life.TestCase
