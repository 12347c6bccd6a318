"""The conformance kit: what every adapter of agents has to do, as tests that any adapter is run through.

To run an adapter through it: write a **stage** that plays its service (see `Stage`; the sandbox plays GitHub, and
`sandbox.providers` plays the rest), give it as the fixture `stage`, and put the classes together that suit the adapter:

    class TestMine(AnyAdapter, SeesSessions, SeesEnds, BeginsLate, NeedsThings):
        @pytest.fixture
        async def stage(self, tmp_path): ...

`AnyAdapter` is for all. The others say what kind of adapter it is: one that sees how the work goes, one that sees how
it ends, one whose agents' last words are read, one whose agent may begin late, one whose service answers unclearly or
has limits, one that needs something before it can start. A stage needs only what the classes that it is for ask of it;
`tests/conformance/stages.py` has most of it ready.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import pytest

from adapters.agents import AgentAdapter, CannotStart, RepositoryContext, Unavailable
from adapters.github.errors import GitHubError
from config.agent_kinds import AgentBase
from core.assignment.session_output import parse_session_output
from core.effects.base import CancelAgent, MessageAgent, PollAgent, StartAgent
from core.signals.base import AgentSeen, PlanDelivered, ReviewDelivered
from core.task.model import Role, SessionState


@dataclass(frozen=True)
class MissingSetup:
    """Something that is missing: where, for which agent, and a word that has to be in what a person is told."""

    repository_context: RepositoryContext
    spec: AgentBase
    expected_word: str
    prevents_start: bool = True  # False: `start` cannot know, only `probe` looks


class Stage(Protocol):
    """What plays an adapter's service. The agent on it never ends its work by itself."""

    adapter: AgentAdapter
    spec: AgentBase
    other_spec: AgentBase  # an agent of another kind
    repository_context: RepositoryContext
    secrets: Sequence[str]  # that no error may hold
    accepts_messages: bool  # whether the agent takes words while it works

    def start_effect(self, attempt: int = 1) -> StartAgent:
        """The start of an attempt."""
        ...

    async def started_count(self) -> int:
        """How often work was begun, as the service itself knows it, when everything has settled."""
        ...

    # Only for `BeginsLate`

    async def delay_starts(self) -> None:
        """From now on the service takes its time between a start and the beginning of the work."""
        ...

    async def begin_delayed_work(self) -> None:
        """That time is over."""
        ...

    # Only for `SeesEnds`

    async def end_work(self, end_state: SessionState) -> None:
        """The work ends: DELIVERED (without a pull request) or FAILED."""
        ...

    # Only for `IsHeard`

    def add_message(self, text: str) -> None:
        """The agent says something, wherever its service keeps that."""
        ...

    # Only for `AnswersUnclearly`, `IsLimited`, `NeedsThings`

    def fail_next_start(self, answer_kind: str) -> None:
        """How the next start is answered: one of `unclear` or `limits`."""
        ...

    @property
    def limits(self) -> Sequence[tuple[str, datetime | None]]:
        """Answers that tell of a limit, and when the agent may then be asked again, if they say so."""
        ...

    @property
    def unclear_answers(self) -> Sequence[tuple[str, bool]]:
        """Ways in which a start is answered unclearly, and whether the work was begun all the same."""
        ...

    def missing_setups(self) -> Sequence[MissingSetup]:
        """What can be missing."""
        ...


async def start_attempt(stage: Stage, attempt: int = 1, *, is_retry: bool = False) -> str | None:
    """Start the attempt; gives the session."""
    effect = stage.start_effect(attempt)
    return (await stage.adapter.start(stage.repository_context, stage.spec, effect, is_retry=is_retry)).session


async def poll_attempt(
    stage: Stage, session: str | None = None, attempt: int = 1, role: Role = Role.IMPLEMENT
) -> AgentSeen | None:
    """Ask how the attempt goes."""
    effect = stage.start_effect(attempt)
    poll_effect = PollAgent(effect.number, attempt, effect.agent, session, effect.since, role)
    return await stage.adapter.poll(stage.repository_context, stage.spec, poll_effect)


async def cancel_attempt(stage: Stage, session: str | None = None, attempt: int = 1) -> None:
    """Ask the agent to stop."""
    effect = stage.start_effect(attempt)
    await stage.adapter.cancel(
        stage.repository_context, stage.spec, CancelAgent(effect.number, attempt, effect.agent, session)
    )


async def send_message(stage: Stage, session: str | None = None, attempt: int = 1) -> bool:
    """Tell the agent something while it works."""
    effect = stage.start_effect(attempt)
    message_effect = MessageAgent(effect.number, attempt, effect.agent, session, effect.since, "review:1", "Faster!")
    return await stage.adapter.send_message(stage.repository_context, stage.spec, message_effect)


def assert_no_secret(stage: Stage, error: BaseException) -> None:
    """Neither the error nor what it came from may hold a key: they are logged."""
    current: BaseException | None = error
    while current is not None:
        for secret in stage.secrets:
            assert secret not in f"{current} {current!r}", f"{type(current).__name__} tells a secret"
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)


class AnyAdapter:
    """What holds for every adapter."""

    async def test_nothing_keeps_it_from_starting(self, stage: Stage) -> None:
        assert await stage.adapter.probe(stage.repository_context, stage.spec) == ()

    async def test_a_start_is_accepted_and_may_be_asked_for_twice(self, stage: Stage) -> None:
        await start_attempt(stage)
        started_count = await stage.started_count()
        assert started_count <= 1
        await start_attempt(stage, is_retry=True)
        assert await stage.started_count() == started_count

    async def test_an_agent_of_another_kind_is_refused_in_words(self, stage: Stage) -> None:
        with pytest.raises(CannotStart, match=type(stage.other_spec).__name__):
            await stage.adapter.start(stage.repository_context, stage.other_spec, stage.start_effect(), is_retry=False)
        assert await stage.started_count() == 0

    async def test_a_run_that_never_started_reports_nothing(self, stage: Stage) -> None:
        assert await poll_attempt(stage) is None
        await start_attempt(stage)
        assert await poll_attempt(stage, attempt=2) is None, "that is another attempt"

    async def test_stopping_is_no_error_however_often_it_is_asked_for(self, stage: Stage) -> None:
        await cancel_attempt(stage)  # nothing is there yet
        session = await start_attempt(stage)
        await stage.started_count()
        await cancel_attempt(stage, session)
        await stage.started_count()
        await cancel_attempt(stage, session)
        await cancel_attempt(stage)
        await cancel_attempt(stage, attempt=2)

    async def test_it_says_whether_it_takes_words(self, stage: Stage) -> None:
        assert await send_message(stage) is False, "it is not there"
        session = await start_attempt(stage)
        await stage.started_count()
        assert await send_message(stage, session) is stage.accepts_messages
        assert await send_message(stage) is stage.accepts_messages, "also where the answer to its start was lost"
        assert await send_message(stage, attempt=2) is False, "that is another attempt"


class SeesSessions:
    """An adapter that sees how the work goes."""

    async def test_what_was_started_is_found_with_its_session_and_without(self, stage: Stage) -> None:
        session = await start_attempt(stage)
        assert await stage.started_count() == 1
        seen_state = await poll_attempt(stage)
        assert seen_state is not None
        assert (seen_state.attempt, seen_state.state) == (1, SessionState.WORKING)
        assert seen_state.session is not None
        assert session in (None, seen_state.session)
        seen_by_session = await poll_attempt(stage, seen_state.session)
        assert seen_by_session is not None
        assert (seen_by_session.state, seen_by_session.session) == (seen_state.state, seen_state.session)

    async def test_a_start_that_looks_first_starts_what_is_not_there(self, stage: Stage) -> None:
        await start_attempt(stage, is_retry=True)
        assert await stage.started_count() == 1
        await start_attempt(stage, attempt=2, is_retry=True)
        assert await stage.started_count() == 2, "another attempt is other work"

    async def test_what_was_stopped_works_no_more(self, stage: Stage) -> None:
        session = await start_attempt(stage)
        await stage.started_count()
        seen_state = await poll_attempt(stage, session)
        session = seen_state.session if seen_state else None
        await cancel_attempt(stage, session)
        await stage.started_count()
        state_after_cancel = await poll_attempt(stage, session)
        assert state_after_cancel is None or state_after_cancel.state.ended

    async def test_a_session_that_is_not_there_is_no_error(self, stage: Stage) -> None:
        assert await poll_attempt(stage, "999999999999") is None
        await cancel_attempt(stage, "999999999999")


class SeesEnds:
    """An adapter that sees how the work ends, also without a pull request."""

    @pytest.mark.parametrize("end_state", [SessionState.DELIVERED, SessionState.FAILED])
    async def test_it_tells_how_the_work_ended(self, stage: Stage, end_state: SessionState) -> None:
        session = await start_attempt(stage)
        await stage.started_count()
        await stage.end_work(end_state)
        for known_session in (session, None):
            seen_state = await poll_attempt(stage, known_session)
            assert seen_state is not None
            assert (seen_state.state, seen_state.pull_number) == (end_state, None)
            assert end_state is SessionState.DELIVERED or seen_state.detail, "a failure needs words"


class IsHeard:
    """An adapter that reads what a session says last: so plans and verdicts come back (`AgentBase.is_heard`)."""

    async def test_the_plan_and_the_verdict_are_among_its_last_words(self, stage: Stage) -> None:
        assert stage.spec.reads_final_message
        session = await start_attempt(stage)
        await stage.started_count()
        stage.add_message("/plan First this.\n\nThen that.")
        stage.add_message("/review changes Not yet.")
        await stage.end_work(SessionState.DELIVERED)
        seen_state = await poll_attempt(stage, session, role=Role.REVIEW)
        assert seen_state is not None
        assert parse_session_output(seen_state.output, Role.REVIEW, 1) == ReviewDelivered(1, False, "Not yet.")

    async def test_a_plan_of_several_lines_is_whole(self, stage: Stage) -> None:
        session = await start_attempt(stage)
        await stage.started_count()
        stage.add_message("/plan First this.\n\nThen that.")
        await stage.end_work(SessionState.DELIVERED)
        for known_session in (session, None):
            seen_state = await poll_attempt(stage, known_session, role=Role.PLAN)
            assert seen_state is not None
            assert parse_session_output(seen_state.output, Role.PLAN, 1) == PlanDelivered(
                1, "First this.\n\nThen that."
            )

    async def test_of_who_implements_and_who_says_nothing_there_are_none(self, stage: Stage) -> None:
        session = await start_attempt(stage)
        await stage.started_count()
        await stage.end_work(SessionState.DELIVERED)
        seen_state = await poll_attempt(stage, session, role=Role.PLAN)
        assert seen_state is not None
        assert seen_state.output == ""
        stage.add_message("/review approve")
        seen_state = await poll_attempt(stage, session)
        assert seen_state is not None
        assert seen_state.output == ""


class BeginsLate:
    """An adapter whose service takes its time before it begins."""

    async def test_it_tells_late_from_begun(self, stage: Stage) -> None:
        await stage.delay_starts()
        session = await start_attempt(stage)
        await stage.started_count()
        seen_state = await poll_attempt(stage, session)
        assert seen_state is None or seen_state.state is SessionState.QUEUED
        await stage.begin_delayed_work()
        seen_state = await poll_attempt(stage, session)
        assert seen_state is not None
        assert seen_state.state is SessionState.WORKING


class AnswersUnclearly:
    """An adapter whose service may do what it is asked and not say so."""

    async def test_after_an_unclear_answer_there_is_exactly_one(self, stage: Stage) -> None:
        for attempt, (answer_kind, was_started) in enumerate(stage.unclear_answers, 1):
            stage.fail_next_start(answer_kind)
            with pytest.raises((OSError, GitHubError)) as failure:  # what the outbox takes for "try again"
                await start_attempt(stage, attempt)
            assert_no_secret(stage, failure.value)
            assert await stage.started_count() == attempt - (not was_started), answer_kind
            await start_attempt(stage, attempt, is_retry=True)
            assert await stage.started_count() == attempt, answer_kind


class IsLimited:
    """An adapter whose service has limits."""

    async def test_a_rate_limit_does_not_count_as_a_failure(self, stage: Stage) -> None:
        limits = stage.limits
        assert limits
        for answer_kind, until in limits:
            stage.fail_next_start(answer_kind)
            with pytest.raises(Unavailable) as failure:
                await start_attempt(stage)
            assert failure.value.retry_at == until
            assert_no_secret(stage, failure.value)
        assert await stage.started_count() == 0
        await start_attempt(stage)
        assert await stage.started_count() == 1


class NeedsThings:
    """An adapter that needs something before it can start anything."""

    async def test_missing_setup_is_reported_to_a_person(self, stage: Stage) -> None:
        gaps = stage.missing_setups()
        assert gaps
        for gap in gaps:
            problems = await stage.adapter.probe(gap.repository_context, gap.spec)
            assert any(gap.expected_word in problem for problem in problems), (gap.expected_word, problems)
            if gap.prevents_start:
                with pytest.raises(CannotStart, match=gap.expected_word) as failure:
                    await stage.adapter.start(gap.repository_context, gap.spec, stage.start_effect(), is_retry=False)
                assert_no_secret(stage, failure.value)
        assert await stage.started_count() == 0
