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
from core.assignment.session_output import answer
from core.effects.base import CancelAgent, MessageAgent, PollAgent, StartAgent
from core.signals.base import AgentSeen, PlanDelivered, ReviewDelivered
from core.task.model import Role, SessionState


@dataclass(frozen=True)
class Gap:
    """Something that is missing: where, for which agent, and a word that has to be in what a person is told."""

    site: RepositoryContext
    spec: AgentBase
    word: str
    stops_start: bool = True  # False: `start` cannot know, only `probe` looks


class Stage(Protocol):
    """What plays an adapter's service. The agent on it never ends its work by itself."""

    adapter: AgentAdapter
    spec: AgentBase
    other: AgentBase  # an agent of another kind
    site: RepositoryContext
    secrets: Sequence[str]  # that no error may hold
    steers: bool  # whether the agent takes words while it works

    def order(self, attempt: int = 1) -> StartAgent:
        """The start of an attempt."""
        ...

    async def begun(self) -> int:
        """How often work was begun, as the service itself knows it, when everything has settled."""
        ...

    # Only for `BeginsLate`

    async def begins_late(self) -> None:
        """From now on the service takes its time between a start and the beginning of the work."""
        ...

    async def begins(self) -> None:
        """That time is over."""
        ...

    # Only for `SeesEnds`

    async def ends(self, how: SessionState) -> None:
        """The work ends: DELIVERED (without a pull request) or FAILED."""
        ...

    # Only for `IsHeard`

    def says(self, text: str) -> None:
        """The agent says something, wherever its service keeps that."""
        ...

    # Only for `AnswersUnclearly`, `IsLimited`, `NeedsThings`

    def fails_next(self, how: str) -> None:
        """How the next start is answered: one of `unclear` or `limits`."""
        ...

    @property
    def limits(self) -> Sequence[tuple[str, datetime | None]]:
        """Answers that tell of a limit, and when the agent may then be asked again, if they say so."""
        ...

    @property
    def unclear(self) -> Sequence[tuple[str, bool]]:
        """Ways in which a start is answered unclearly, and whether the work was begun all the same."""
        ...

    def gaps(self) -> Sequence[Gap]:
        """What can be missing."""
        ...


async def started(stage: Stage, attempt: int = 1, *, again: bool = False) -> str | None:
    """Start the attempt; gives the session."""
    order = stage.order(attempt)
    return (await stage.adapter.start(stage.site, stage.spec, order, again=again)).session


async def polled(
    stage: Stage, session: str | None = None, attempt: int = 1, role: Role = Role.IMPLEMENT
) -> AgentSeen | None:
    """Ask how the attempt goes."""
    order = stage.order(attempt)
    asked = PollAgent(order.number, attempt, order.agent, session, order.since, role)
    return await stage.adapter.poll(stage.site, stage.spec, asked)


async def cancelled(stage: Stage, session: str | None = None, attempt: int = 1) -> None:
    """Ask the agent to stop."""
    order = stage.order(attempt)
    await stage.adapter.cancel(stage.site, stage.spec, CancelAgent(order.number, attempt, order.agent, session))


async def steered(stage: Stage, session: str | None = None, attempt: int = 1) -> bool:
    """Tell the agent something while it works."""
    order = stage.order(attempt)
    told = MessageAgent(order.number, attempt, order.agent, session, order.since, "review:1", "Faster!")
    return await stage.adapter.steer(stage.site, stage.spec, told)


def tells_no_secret(stage: Stage, error: BaseException) -> None:
    """Neither the error nor what it came from may hold a key: they are logged."""
    seen: BaseException | None = error
    while seen is not None:
        for secret in stage.secrets:
            assert secret not in f"{seen} {seen!r}", f"{type(seen).__name__} tells a secret"
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)


class AnyAdapter:
    """What holds for every adapter."""

    async def test_nothing_keeps_it_from_starting(self, stage: Stage) -> None:
        assert await stage.adapter.probe(stage.site, stage.spec) == ()

    async def test_a_start_is_accepted_and_may_be_asked_for_twice(self, stage: Stage) -> None:
        await started(stage)
        once = await stage.begun()
        assert once <= 1
        await started(stage, again=True)
        assert await stage.begun() == once

    async def test_an_agent_of_another_kind_is_refused_in_words(self, stage: Stage) -> None:
        with pytest.raises(CannotStart, match=type(stage.other).__name__):
            await stage.adapter.start(stage.site, stage.other, stage.order(), again=False)
        assert await stage.begun() == 0

    async def test_there_is_no_news_of_what_was_never_started(self, stage: Stage) -> None:
        assert await polled(stage) is None
        await started(stage)
        assert await polled(stage, attempt=2) is None, "that is another attempt"

    async def test_stopping_is_no_error_however_often_it_is_asked_for(self, stage: Stage) -> None:
        await cancelled(stage)  # nothing is there yet
        session = await started(stage)
        await stage.begun()
        await cancelled(stage, session)
        await stage.begun()
        await cancelled(stage, session)
        await cancelled(stage)
        await cancelled(stage, attempt=2)

    async def test_it_says_whether_it_takes_words(self, stage: Stage) -> None:
        assert await steered(stage) is False, "it is not there"
        session = await started(stage)
        await stage.begun()
        assert await steered(stage, session) is stage.steers
        assert await steered(stage) is stage.steers, "also where the answer to its start was lost"
        assert await steered(stage, attempt=2) is False, "that is another attempt"


class SeesSessions:
    """An adapter that sees how the work goes."""

    async def test_what_was_started_is_found_with_its_session_and_without(self, stage: Stage) -> None:
        session = await started(stage)
        assert await stage.begun() == 1
        found = await polled(stage)
        assert found is not None
        assert (found.attempt, found.state) == (1, SessionState.WORKING)
        assert found.session is not None
        assert session in (None, found.session)
        by_session = await polled(stage, found.session)
        assert by_session is not None
        assert (by_session.state, by_session.session) == (found.state, found.session)

    async def test_a_start_that_looks_first_starts_what_is_not_there(self, stage: Stage) -> None:
        await started(stage, again=True)
        assert await stage.begun() == 1
        await started(stage, attempt=2, again=True)
        assert await stage.begun() == 2, "another attempt is other work"

    async def test_what_was_stopped_works_no_more(self, stage: Stage) -> None:
        session = await started(stage)
        await stage.begun()
        found = await polled(stage, session)
        session = found.session if found else None
        await cancelled(stage, session)
        await stage.begun()
        news = await polled(stage, session)
        assert news is None or news.state.ended

    async def test_a_session_that_is_not_there_is_no_error(self, stage: Stage) -> None:
        assert await polled(stage, "999999999999") is None
        await cancelled(stage, "999999999999")


class SeesEnds:
    """An adapter that sees how the work ends, also without a pull request."""

    @pytest.mark.parametrize("how", [SessionState.DELIVERED, SessionState.FAILED])
    async def test_it_tells_how_the_work_ended(self, stage: Stage, how: SessionState) -> None:
        session = await started(stage)
        await stage.begun()
        await stage.ends(how)
        for known in (session, None):
            news = await polled(stage, known)
            assert news is not None
            assert (news.state, news.pull) == (how, None)
            assert how is SessionState.DELIVERED or news.detail, "a failure needs words"


class IsHeard:
    """An adapter that reads what a session says last: so plans and verdicts come back (`AgentBase.is_heard`)."""

    async def test_the_plan_and_the_verdict_are_among_its_last_words(self, stage: Stage) -> None:
        assert stage.spec.is_heard
        session = await started(stage)
        await stage.begun()
        stage.says("/plan First this.\n\nThen that.")
        stage.says("/review changes Not yet.")
        await stage.ends(SessionState.DELIVERED)
        news = await polled(stage, session, role=Role.REVIEW)
        assert news is not None
        assert answer(news.words, Role.REVIEW, 1) == ReviewDelivered(1, False, "Not yet.")

    async def test_a_plan_of_several_lines_is_whole(self, stage: Stage) -> None:
        session = await started(stage)
        await stage.begun()
        stage.says("/plan First this.\n\nThen that.")
        await stage.ends(SessionState.DELIVERED)
        for known in (session, None):
            news = await polled(stage, known, role=Role.PLAN)
            assert news is not None
            assert answer(news.words, Role.PLAN, 1) == PlanDelivered(1, "First this.\n\nThen that.")

    async def test_of_who_implements_and_who_says_nothing_there_are_none(self, stage: Stage) -> None:
        session = await started(stage)
        await stage.begun()
        await stage.ends(SessionState.DELIVERED)
        news = await polled(stage, session, role=Role.PLAN)
        assert news is not None
        assert news.words == ""
        stage.says("/review approve")
        news = await polled(stage, session)
        assert news is not None
        assert news.words == ""


class BeginsLate:
    """An adapter whose service takes its time before it begins."""

    async def test_it_tells_late_from_begun(self, stage: Stage) -> None:
        await stage.begins_late()
        session = await started(stage)
        await stage.begun()
        news = await polled(stage, session)
        assert news is None or news.state is SessionState.QUEUED
        await stage.begins()
        news = await polled(stage, session)
        assert news is not None
        assert news.state is SessionState.WORKING


class AnswersUnclearly:
    """An adapter whose service may do what it is asked and not say so."""

    async def test_after_an_unclear_answer_there_is_exactly_one(self, stage: Stage) -> None:
        for attempt, (how, done) in enumerate(stage.unclear, 1):
            stage.fails_next(how)
            with pytest.raises((OSError, GitHubError)) as failure:  # what the outbox takes for "try again"
                await started(stage, attempt)
            tells_no_secret(stage, failure.value)
            assert await stage.begun() == attempt - (not done), how
            await started(stage, attempt, again=True)
            assert await stage.begun() == attempt, how


class IsLimited:
    """An adapter whose service has limits."""

    async def test_a_limit_is_nobodys_failure(self, stage: Stage) -> None:
        limits = stage.limits
        assert limits
        for how, until in limits:
            stage.fails_next(how)
            with pytest.raises(Unavailable) as failure:
                await started(stage)
            assert failure.value.until == until
            tells_no_secret(stage, failure.value)
        assert await stage.begun() == 0
        await started(stage)
        assert await stage.begun() == 1


class NeedsThings:
    """An adapter that needs something before it can start anything."""

    async def test_what_is_missing_is_told_to_a_person(self, stage: Stage) -> None:
        gaps = stage.gaps()
        assert gaps
        for gap in gaps:
            problems = await stage.adapter.probe(gap.site, gap.spec)
            assert any(gap.word in problem for problem in problems), (gap.word, problems)
            if gap.stops_start:
                with pytest.raises(CannotStart, match=gap.word) as failure:
                    await stage.adapter.start(gap.site, gap.spec, stage.order(), again=False)
                tells_no_secret(stage, failure.value)
        assert await stage.begun() == 0
