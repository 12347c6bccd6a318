"""The governor: two replicas with one budget in the database never use more of it than one may."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from adapters.database import rate_limits
from adapters.database.database import Database
from adapters.github.errors import RateLimited
from adapters.github.rate_limit import RateLimitContext, RateLimitWait
from adapters.github.rate_limiter import RESERVATION_SECONDS, RateLimiter
from core.effects.priority import SendPriority
from core.rate_limits import BURST, RateLimits
from tests.adapters.github_server import INSTALLATION, github_server, issue, respond_in_turn, respond_with

SENDER = "installation:7"
START = datetime(2026, 3, 2, 9, tzinfo=UTC)
LOW = RateLimits(points_per_minute=60, content_per_minute=6, content_per_hour=30, refill=1.0)


@dataclass
class Clock:
    """Sleeping turns it."""

    at: datetime = START

    def now(self) -> datetime:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@dataclass
class Replicas:
    """Two governors, each with connections of its own to one database."""

    url: str
    clock: Clock
    stack: AsyncExitStack
    waits: Counter[SendPriority]

    def governor(self, limits: RateLimits = LOW) -> RateLimiter:
        database = Database(self.url)
        self.stack.push_async_callback(database.close)
        return RateLimiter(
            rate_limits.DatabaseBudgetStore(database), self.clock, limits, lambda lane: self.waits.update([lane])
        )


@pytest.fixture
async def replicas(database_url: str) -> AsyncIterator[Replicas]:
    async with AsyncExitStack() as stack:
        yield Replicas(database_url, Clock(), stack, Counter())


async def writes(
    governor: RateLimiter, lane: SendPriority = SendPriority.ANSWER, *, content: bool = True, waited: bool = False
) -> None:
    await governor.acquire(SENDER, RateLimitContext(lane, waited), "core", is_write=True, content=content)


async def reads(governor: RateLimiter) -> None:
    await governor.acquire(SENDER, RateLimitContext(), "core", is_write=False, content=False)


async def test_at_once_two_replicas_write_as_often_as_one_may(replicas: Replicas) -> None:
    limits = replace(LOW, refill=0.0)
    both = [replicas.governor(limits), replicas.governor(limits)]
    tried = [writes(both[n % 2]) for n in range(20)]
    results = await asyncio.gather(*tried, return_exceptions=True)
    assert Counter(type(result) for result in results) == {type(None): LOW.content_per_minute, RateLimitWait: 14}
    assert replicas.waits == {SendPriority.ANSWER: 14}


async def test_an_afternoon_of_two_replicas_stays_within_every_limit_and_keeps_the_order(replicas: Replicas) -> None:
    both = [replicas.governor(), replicas.governor()]
    lanes = [SendPriority.CARD, SendPriority.AGENT, SendPriority.DIGEST, SendPriority.ANSWER, SendPriority.LABELS] * 8
    line = [(START.timestamp(), order, lane, False) for order, lane in enumerate(lanes)]
    went: list[tuple[float, SendPriority]] = []
    turns = 0
    while line:
        at, order, lane, waited = heapq.heappop(line)
        turns += 1
        replicas.clock.at = max(replicas.clock.at, datetime.fromtimestamp(at, UTC))
        content = lane is not SendPriority.LABELS
        try:
            await writes(both[order % 2], lane, content=content, waited=waited)
        except RateLimitWait as error:
            heapq.heappush(line, (error.retry_at.timestamp(), order, lane, True))
            continue
        went.append((replicas.clock.at.timestamp(), lane))
    times = [at for at, _ in went]
    for span in (1, 5, 30):
        assert all(sum(start <= at < start + span for at in times) <= BURST + span for start in times)
    made = [at for at, lane in went if lane is not SendPriority.LABELS]
    for start in made:
        assert sum(start <= at < start + 60 for at in made) <= LOW.content_per_minute
        assert sum(start <= at < start + 3600 for at in made) <= LOW.content_per_hour
    for start in times:
        assert sum(5 for at in times if start <= at < start + 60) <= LOW.points_per_minute
    mean = {lane: sum(at for at, one in went if one is lane) / 8 - START.timestamp() for lane in set(lanes)}
    assert mean[SendPriority.AGENT] < mean[SendPriority.CARD] < mean[SendPriority.DIGEST]
    assert mean[SendPriority.ANSWER] < mean[SendPriority.CARD]
    assert turns < 40 * 15, "who waits comes back seldom"


async def test_while_labels_wait_in_one_replica_an_agent_goes_at_once_in_the_other(replicas: Replicas) -> None:
    one, other = (replicas.governor(RateLimits()) for _ in range(2))
    for _ in range(5):
        await writes(one, SendPriority.LABELS, content=False)
    for seconds in range(1, 26):
        with pytest.raises(RateLimitWait) as held:
            await writes(one, SendPriority.LABELS, content=False)
        assert held.value.retry_at == START + timedelta(seconds=seconds), "one after the other"
    before = replicas.clock.at
    for _ in range(4):
        await writes(other, SendPriority.AGENT, content=False)
    assert replicas.clock.at == before


async def test_a_reserved_write_goes_without_asking_again_and_what_is_not_used_is_given_back(
    replicas: Replicas,
) -> None:
    limits = RateLimits(content_per_minute=2, refill=0.0)
    one, other = replicas.governor(limits), replicas.governor(limits)
    passage, unused = RateLimitContext(SendPriority.ANSWER), RateLimitContext(SendPriority.ANSWER)
    await one.reserve(SENDER, passage, content=True)
    await one.reserve(SENDER, unused, content=True)
    with pytest.raises(RateLimitWait):
        await writes(other)
    await one.acquire(SENDER, passage, "core", is_write=True, content=True)
    with pytest.raises(RateLimitWait):
        await one.acquire(SENDER, passage, "core", is_write=True, content=True)
    one.release(SENDER, unused)
    await writes(one)
    with pytest.raises(RateLimitWait):
        await writes(other)


async def test_a_reservation_that_turns_out_to_be_no_content_or_comes_too_late_leaves_its_share(
    replicas: Replicas,
) -> None:
    governor = replicas.governor(RateLimits(content_per_minute=1, refill=0.0))
    plain, late = RateLimitContext(), RateLimitContext()
    await governor.reserve(SENDER, plain, content=True)
    await governor.acquire(SENDER, plain, "core", is_write=True, content=False)
    await governor.reserve(SENDER, late, content=True)
    replicas.clock.at += timedelta(seconds=RESERVATION_SECONDS + 1)
    await governor.acquire(SENDER, late, "core", is_write=True, content=True)
    assert late.reserved_write is None
    with pytest.raises(RateLimitWait):
        await writes(governor)


async def test_nothing_is_read_for_a_write_that_has_to_wait(replicas: Replicas) -> None:
    async with github_server(gate=replicas.governor(RateLimits(content_per_minute=1))) as (server, client):
        server.handler = respond_with(issue())
        installation = client.installation(INSTALLATION, RateLimitContext())
        async with installation.reserved_write(content=True):
            await installation.get_issue("acme/shop", 1)
            await installation.update_issue("acme/shop", 1, body="So.")
        with pytest.raises(RateLimitWait):
            async with installation.reserved_write(content=True):
                await installation.get_issue("acme/shop", 1)
        assert len(server.api_requests) == 2


async def test_reads_are_entered_now_and_then_and_count_for_both(replicas: Replicas) -> None:
    limits = replace(LOW, points_per_minute=450)
    one, other = replicas.governor(limits), replicas.governor(limits)
    for _ in range(11):
        await reads(one)
    database = Database(replicas.url)
    replicas.stack.push_async_callback(database.close)
    async with database.autocommit() as connection:
        version, kept = await rate_limits.load(connection, SENDER)
    assert (version, kept.points.used(START.timestamp())) == (1, 10), "ten reads, one statement"
    sent = 11
    for turn in range(500):
        with contextlib.suppress(RateLimitWait):
            await reads((one, other)[turn % 2])
            sent += 1
    assert limits.usable_points <= sent <= limits.points_per_minute
    replicas.clock.at += timedelta(seconds=75)
    await reads(other)


async def test_a_refusal_by_github_stops_the_other_replica_too(replicas: Replicas) -> None:
    one, other = replicas.governor(), replicas.governor()
    await reads(other)
    async with github_server(gate=one) as (server, client):
        server.clock.now = START
        server.handler = respond_in_turn(
            (403, {"message": "You have exceeded a secondary rate limit"}, {"Retry_After": "90"})
        )
        with pytest.raises(RateLimited):
            await client.installation(INSTALLATION).get_issue("acme/shop", 1)
        with pytest.raises(RateLimitWait) as held:
            await client.installation(INSTALLATION).get_issue("acme/shop", 1)
        assert held.value.retry_at == START + timedelta(seconds=90)
        assert len(server.api_requests) == 1, "nothing more was sent"
    replicas.clock.at += timedelta(seconds=6)  # by when the row is read again
    with pytest.raises(RateLimitWait):
        await reads(other)


async def test_what_answers_tell_is_kept_for_all_and_senseless_numbers_are_not(replicas: Replicas) -> None:
    one, other = replicas.governor(), replicas.governor()
    reset = START + timedelta(minutes=10)
    head = {
        "X_RateLimit_Limit": "5000",
        "X_RateLimit_Remaining": "600",
        "X_RateLimit_Reset": f"{reset.timestamp():.0f}",
    }
    async with github_server(gate=one) as (server, client):
        server.clock.now = START
        server.handler = respond_in_turn(
            (200, issue(), head), (200, issue(2), {**head, "X_RateLimit_Remaining": "many"})
        )
        for number in (1, 2):
            await client.installation(INSTALLATION).get_issue("acme/shop", number)
    await writes(one)  # what was read is entered with it
    with pytest.raises(RateLimitWait) as held:
        await writes(other, SendPriority.DIGEST)
    assert held.value.retry_at == reset
    replicas.clock.at += timedelta(seconds=2)
    await writes(other)


async def test_an_errand_of_many_writes_gives_way_between_them(replicas: Replicas) -> None:
    governor = replicas.governor(RateLimits())
    async with github_server(gate=governor) as (server, client):
        server.handler = respond_with(status=204)
        installation = client.installation(INSTALLATION, RateLimitContext(SendPriority.LABELS))
        for number in range(5):
            await installation.cancel_run("acme/shop", number)
        for _ in range(4):
            await writes(governor, SendPriority.AGENT, content=False)
        with pytest.raises(RateLimitWait) as held:
            await installation.cancel_run("acme/shop", 5)
        assert held.value.retry_at == START + timedelta(seconds=5), "when their tokens are there again"
        assert len(server.api_requests) == 5
        replicas.clock.at = held.value.retry_at
        again = client.installation(INSTALLATION, RateLimitContext(SendPriority.LABELS, has_waited=True))
        await again.cancel_run("acme/shop", 5)


async def test_who_answers_someone_waits_in_place_for_the_next_slot(replicas: Replicas) -> None:
    governor = replicas.governor(RateLimits())
    for _ in range(BURST):
        await writes(governor, SendPriority.AGENT, content=False)
    assert replicas.clock.at == START
    for _ in range(3):
        await writes(governor, SendPriority.AGENT, content=False)
    assert replicas.clock.at == START + timedelta(seconds=3)


async def test_who_is_led_elsewhere_spends_twice(replicas: Replicas) -> None:
    governor = replicas.governor()
    async with github_server(gate=governor) as (server, client):
        moved = (301, {"message": "Moved"}, {"Location": f"{server.url}/api/repositories/1/issues/1"})
        server.handler = respond_in_turn(moved, (200, issue(), {}))
        await client.installation(INSTALLATION).get_issue("acme/shop", 1)
    await writes(governor)
    database = Database(replicas.url)
    replicas.stack.push_async_callback(database.close)
    async with database.autocommit() as connection:
        assert (await rate_limits.load(connection, SENDER))[1].points.used(START.timestamp()) == 1 + 1 + 5


async def test_what_one_lane_must_wait_for_another_reads_at_once(replicas: Replicas) -> None:
    governor = replicas.governor(replace(LOW, refill=0.0))
    until = f"{(START + timedelta(minutes=10)).timestamp():.0f}"
    governor.update_limit(SENDER, "core", 5000, 600, datetime.fromtimestamp(int(until), UTC))
    async with github_server(gate=governor) as (server, client):
        server.clock.now = START
        server.handler = respond_with(issue())
        reads = [
            client.installation(INSTALLATION, RateLimitContext(lane))
            for lane in (SendPriority.DIGEST, SendPriority.ANSWER)
        ]
        held, read = await asyncio.gather(*(one.get_issue("acme/shop", 1) for one in reads), return_exceptions=True)
    assert isinstance(held, RateLimitWait)
    assert not isinstance(read, BaseException)
