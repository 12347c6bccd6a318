"""The outbox: what was decided becomes true in the world.

An effect was written in the transaction of its decision. Here it is sent, marked, and its answer goes back in as a
signal, in the transaction that marks it. The try is counted *before* the call: a sender that finds a counted try
that was never marked done (the bot was killed, or the answer was unclear) first checks if the effect exists already.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import ColumnElement, FromClause, bindparam, case, exists, func, not_, null, or_, select, update

from adapters.agents import Services
from adapters.alerts import Channels
from adapters.database import repositories, store
from adapters.database import tables as t
from adapters.database.codec import effect_from_json
from adapters.database.jobs import GIT, SEND, URGENT_SEND, EffectGroup, send_job
from adapters.database.repositories import RepositoryRow
from adapters.git import MirrorPool
from adapters.github import GitHubClient
from adapters.github.errors import Forbidden, Gone, GraphQLError, Invalid, NotFound, TooLarge
from adapters.github.rate_limit import RateLimitContext, RateLimitWait
from core.effects.base import CheckRun, Effect, Notify, PollAgent, RequestTrialMerge, StartAgent
from core.effects.priority import SendPriority
from core.signals.base import AgentPollEmpty, AgentStartFailed, AgentUnavailable, Signal
from core.task.deadlines import DeadlineTarget, TargetKind
from engine.card_state import CardStateCodec
from engine.error_policy import next_retry_at, policy_for
from engine.forecasts import ForecastService
from engine.senders import SENDERS, Identity, SendContext, SendResult
from engine.senders.admission import reserve_first_write
from engine.senders.batching import BATCHABLE, send_batch
from engine.session import MAX_TRIAL_MERGE_WAIT, NoConfiguration
from engine.unit_of_work import UnitOfWork, UnitOfWorkFactory

log = structlog.get_logger()

_PRIORITIES = {kind.__name__: int(kind.priority) for kind in SENDERS}


def _in_group(outbox: FromClause) -> ColumnElement[bool]:
    """The effects of an `EffectGroup`: of the two parameters one is null, and so equals nothing."""
    return or_(outbox.c.issue_number == bindparam("issue"), outbox.c.channel == bindparam("on_channel"))


# Labels and card are written once, with the result of a trial merge that was just requested.
_VIEW_KINDS = [kind.__name__ for kind in SENDERS if kind.priority >= SendPriority.LABELS]
_TRIAL = t.outbox.alias()
_AWAITS_TRIAL_MERGE = exists().where(
    _TRIAL.c.repository_id == bindparam("repository"),
    _TRIAL.c.channel == GIT,
    _TRIAL.c.kind == RequestTrialMerge.__name__,
    _TRIAL.c.payload["number"].as_integer() == bindparam("issue"),
    _TRIAL.c.state == "pending",
    _TRIAL.c.created_at > bindparam("trials_since"),
)

# The next pending effect of one issue or channel: it is taken, and the attempt counted.
_NEXT_ID = (
    select(t.outbox.c.id)
    .where(
        t.outbox.c.repository_id == bindparam("repository"),
        _in_group(t.outbox),
        t.outbox.c.state == "pending",
        or_(t.outbox.c.not_before.is_(None), t.outbox.c.not_before <= bindparam("now")),
        or_(t.outbox.c.kind.not_in(_VIEW_KINDS), not_(_AWAITS_TRIAL_MERGE)),
    )
    .order_by(case(_PRIORITIES, value=t.outbox.c.kind, else_=0), t.outbox.c.created_at, t.outbox.c.id)
    .limit(1)
    .with_for_update()
    .scalar_subquery()
)
_CLAIMED = (
    update(t.outbox)
    .where(t.outbox.c.id == _NEXT_ID)
    .values(attempts=t.outbox.c.attempts + 1)
    .returning(t.outbox)
    .cte("taken")
)
_CLAIM = select(_CLAIMED, *repositories.REPOSITORY_COLUMNS).select_from(
    _CLAIMED.outerjoin(t.repositories, t.repositories.c.id == _CLAIMED.c.repository_id)
)

# What can go in one request with the one that was just taken; also what could wait for a while, but was not tried yet.
# Labels and card come last, as ever: not before a merge that is about to change them.
_BATCHABLE = [kind.__name__ for kind in BATCHABLE]
_COMPLETION_KINDS = [kind.__name__ for kind in SENDERS if kind.priority is SendPriority.COMPLETION]
_OTHER_ROW = t.outbox.alias()
_HAS_PENDING_COMPLETION = exists().where(
    _OTHER_ROW.c.repository_id == bindparam("repository"),
    _in_group(_OTHER_ROW),
    _OTHER_ROW.c.state == "pending",
    _OTHER_ROW.c.kind.in_(_COMPLETION_KINDS),
    or_(_OTHER_ROW.c.not_before.is_(None), _OTHER_ROW.c.not_before <= bindparam("now")),
)
_BATCH_IDS = (
    select(t.outbox.c.id)
    .where(
        t.outbox.c.repository_id == bindparam("repository"),
        _in_group(t.outbox),
        t.outbox.c.state == "pending",
        t.outbox.c.kind.in_(_BATCHABLE),
        t.outbox.c.id != bindparam("taken"),
        or_(t.outbox.c.kind == CheckRun.__name__, not_(or_(_HAS_PENDING_COMPLETION, _AWAITS_TRIAL_MERGE))),
        or_(t.outbox.c.not_before.is_(None), t.outbox.c.not_before <= bindparam("now"), t.outbox.c.attempts == 0),
    )
    .with_for_update()
    .scalar_subquery()
)
_CLAIM_BATCH = (
    update(t.outbox).where(t.outbox.c.id.in_(_BATCH_IDS)).values(attempts=t.outbox.c.attempts + 1).returning(t.outbox)
)

# When one has to wait for our own budget, so have those of its task that are no more important; agents may be reached
# by another way.
_DEFERRED_KINDS = {
    priority: [
        kind.__name__ for kind in SENDERS if kind.priority >= priority and kind.priority is not SendPriority.AGENT
    ]
    for priority in SendPriority
}

ANONYMOUS = Identity(0, "", 0)

OnSent = Callable[[Effect, datetime], None]


@dataclass(slots=True)
class Outbox:
    """Sends what waits."""

    work: UnitOfWorkFactory
    client: GitHubClient
    mirrors: MirrorPool
    services: Services
    identity: Callable[[int], Awaitable[Identity]]  # by installation id
    codec: CardStateCodec
    forecasts: ForecastService | None
    on_sent: OnSent | None = None
    alerts: Channels = field(default_factory=Channels)

    async def send_pending(self, repository_id: int, group: EffectGroup) -> None:
        """Send all that is pending for one issue or channel. One that fails does not hold up the others.

        After each one we look again: its answer may have changed what the next is to say.
        """
        while (claimed := await self._claim(repository_id, group)) is not None:
            rows, repository = claimed
            if len(rows) == 1 or repository is None or not await self._send_batch(rows, repository):
                for row in rows:
                    await self._send(row, repository, is_retry=len(rows) > 1)

    async def _claim(self, repository_id: int, group: EffectGroup) -> tuple[list[Any], RepositoryRow | None] | None:
        """What is to be sent next, in order, and its repository. The try is counted here, before the call is made.

        It is one effect, or several that can go together.
        """
        issue, channel = group
        now = self.work.now()
        parameters = {"repository": repository_id, "issue": issue, "on_channel": channel, "now": now}
        parameters["trials_since"] = now - MAX_TRIAL_MERGE_WAIT
        async with self.work.database.autocommit() as connection:
            row = (await connection.execute(_CLAIM, parameters)).mappings().first()
            if row is None:
                return None
            batch: list[Any] = []
            if row["kind"] in _BATCHABLE:
                result = await connection.execute(_CLAIM_BATCH, {**parameters, "taken": row["id"]})
                batch = sorted(
                    result.mappings(), key=lambda item: (_PRIORITIES[item["kind"]], item["created_at"], item["id"])
                )
            has_repository = row[t.repositories.c.id] is not None
            return [row, *batch], repositories.repository_from_row(row) if has_repository else None

    async def _send_batch(self, rows: list[Any], repository: RepositoryRow) -> bool:
        """Send them in one request, as far as that can be; whether that is settled, and none has to be sent again."""
        if not repository.active:
            return False
        effects = [effect_from_json(row["kind"], row["payload"]) for row in rows]
        rate_context = RateLimitContext(effects[0].priority, has_waited=rows[0]["not_before"] is not None)
        try:
            contexts = [
                await self._make_context(row, effect, repository, rate_context)
                for row, effect in zip(rows, effects, strict=True)
            ]
            async with reserve_first_write(effects[0], contexts[0], rate_context, is_batch=True):
                results = await send_batch(list(zip(effects, contexts, strict=True)))
        except (GraphQLError, NotFound, Forbidden, Gone, Invalid, TooLarge) as error:
            log.info("batch_fell_back_to_single", keys=[row["key"] for row in rows], error=str(error))
            return False
        except Exception as error:
            for row, effect in zip(rows, effects, strict=True):
                await self._handle_error(row, effect, rate_context, error)
            return True
        for row, effect, result in zip(rows, effects, results, strict=True):
            if result is None and row["not_before"] and row["not_before"] > self.work.now():
                await self._uncount_attempt(row)  # it could wait, and there was nothing to go with
                continue
            if result is None:
                await self._send(row, repository)
                continue
            try:
                await self._mark_sent(row, effect, result)
            except Exception as error:
                await self._handle_error(row, effect, rate_context, error)
        return True

    async def _uncount_attempt(self, row: Any) -> None:
        """It was not sent after all, and no try of it is counted."""
        statement = (
            update(t.outbox)
            .where(t.outbox.c.id == row["id"])
            .values(attempts=func.greatest(t.outbox.c.attempts - 1, 0))
        )
        async with self.work.database.autocommit() as connection:
            await connection.execute(statement)

    async def _make_context(
        self, row: Any, effect: Effect, repository: RepositoryRow, rate_context: RateLimitContext
    ) -> SendContext:
        # Channels are not on GitHub, and must not wait for it.
        is_notification = isinstance(effect, Notify)
        return SendContext(
            github=self.client.installation(repository.installation_id, rate_context),
            repository=repository,
            identity=ANONYMOUS if is_notification else await self.identity(repository.installation_id),
            database=self.work.database,
            mirrors=self.mirrors,
            services=self.services,
            codec=self.codec,
            key=row["key"],
            # What we wrote before the tasks were restored is looked for as well.
            is_retry=row["attempts"] > 1 or 0 < (row["issue_number"] or 0) <= repository.restored_up_to_issue,
            remote_id=row["remote_id"],
            content_hash=row["content_hash"],
            created_at=row["created_at"],
            now=self.work.now(),
            forecasts=self.forecasts,
            alerts=self.alerts,
        )

    async def _send(self, row: Any, repository: RepositoryRow | None, *, is_retry: bool = False) -> None:
        """Send one; `again` where it may have been done in company already."""
        effect = effect_from_json(row["kind"], row["payload"])
        rate_context = RateLimitContext(effect.priority, has_waited=row["not_before"] is not None)
        if repository is None or not repository.active:
            await self._mark_dead(row, "the App is no longer installed here")
            return
        try:
            context = await self._make_context(row, effect, repository, rate_context)
            async with reserve_first_write(effect, context, rate_context):
                result = await SENDERS[type(effect)](effect, replace(context, is_retry=context.is_retry or is_retry))
            await self._mark_sent(row, effect, result)
        except Exception as error:
            await self._handle_error(row, effect, rate_context, error)

    async def _mark_sent(self, row: Any, effect: Effect, result: SendResult) -> None:
        """Done: marked in the same transaction that takes the answer in."""
        is_current = t.outbox.c.version == row["version"]
        statement = (
            update(t.outbox)
            .where(t.outbox.c.id == row["id"])
            .values(
                # What the send made is true also of a newer version, which still waits.
                remote_id=result.remote_id,
                content_hash=result.content_hash,
                state=case((is_current, "done"), else_=t.outbox.c.state),
                done_at=case((is_current, self.work.now()), else_=t.outbox.c.done_at),
                error=case((is_current, null()), else_=t.outbox.c.error),
                not_before=case((is_current, null()), else_=t.outbox.c.not_before),
            )
        )
        is_marked = False
        if result.has_consequences:
            with contextlib.suppress(NoConfiguration):
                async with self.work.begin(row["repository_id"], sending_number=_effect_group(row)) as unit:
                    await unit.session.connection.execute(statement)
                    await _apply_result(unit, row["issue_number"] or 0, result)
                is_marked = True
        if not is_marked:
            async with self.work.database.autocommit() as connection:
                await connection.execute(statement)
        if isinstance(effect, RequestTrialMerge):
            await self._send_views(row["repository_id"], effect)
        log.info("effect_sent", key=row["key"], kind=row["kind"], tries=row["attempts"])
        was_rejected = any(
            isinstance(signal, AgentStartFailed | AgentUnavailable) for _, signal in result.conflict_report
        )
        if self.on_sent and not was_rejected:
            self.on_sent(effect, self.work.now())

    async def _send_views(self, repository_id: int, effect: RequestTrialMerge) -> None:
        """Send the labels and the card that waited for a trial merge."""
        target = DeadlineTarget(TargetKind.EFFECT, effect.key)
        async with self.work.database.transaction() as connection:
            await store.delete_deadline(connection, repository_id, target, SEND)
            await self.work.jobs.defer_all(connection, [send_job(repository_id, effect.number)])

    async def _handle_error(self, row: Any, effect: Effect, rate_context: RateLimitContext, error: Exception) -> None:
        policy, attempts = policy_for(error), row["attempts"]
        if policy.counts_attempt:
            log.warning(
                "effect_failed",
                key=row["key"],
                tries=attempts,
                error=str(error),
                exc_info=error if policy.is_bug else None,
            )
        else:  # not a failure, and not a try; but a started send is remembered
            log.info("effect_throttled", key=row["key"], lane=rate_context.priority.name, error=str(error))
            # An agent may have been reached by another way than the one that is counted.
            is_counted = rate_context.write_count == 0 and rate_context.priority is not SendPriority.AGENT
            was_not_sent = isinstance(error, RateLimitWait) and (is_counted or not rate_context.has_started)
            attempts = max(attempts - 1, 0 if was_not_sent else 1)
        retry_at = next_retry_at(error, attempts, self.work.now(), random.random())  # noqa: S311 - only spreads load
        if retry_at is None:
            await self._mark_dead(row, str(error), effect)
            return
        async with self.work.database.transaction() as connection:
            await connection.execute(
                update(t.outbox)
                .where(t.outbox.c.id == row["id"], t.outbox.c.version == row["version"])
                .values(not_before=retry_at, attempts=attempts, error=str(error)[:1000])
            )
            kind = URGENT_SEND if effect.priority.is_urgent else SEND
            target, group = DeadlineTarget(TargetKind.EFFECT, str(row["id"])), _effect_group(row)
            await store.set_deadline(connection, row["repository_id"], target, kind, retry_at, payload=group._asdict())
            if isinstance(error, RateLimitWait):
                others = (
                    t.outbox.c.repository_id == row["repository_id"],
                    _in_group(t.outbox),
                    t.outbox.c.state == "pending",
                    t.outbox.c.kind.in_(_DEFERRED_KINDS[effect.priority]),
                    or_(t.outbox.c.not_before.is_(None), t.outbox.c.not_before < retry_at),
                )
                which = {"issue": group.issue_number, "on_channel": group.channel}
                await connection.execute(update(t.outbox).where(*others).values(not_before=retry_at), which)

    async def _mark_dead(self, row: Any, reason: str, effect: Effect | None = None) -> None:
        """Given up, but kept and shown. What an agent was to be asked or told leaves no task asleep."""
        log.error("effect_dead_lettered", key=row["key"], kind=row["kind"], reason=reason)
        statement = (
            update(t.outbox)
            .where(t.outbox.c.id == row["id"], t.outbox.c.version == row["version"])
            .values(state="dead", error=reason[:1000])
        )
        follow_up = _failure_signal(effect, reason)
        if follow_up is not None:
            with contextlib.suppress(NoConfiguration):  # nothing is decided where there is none any more
                async with self.work.begin(row["repository_id"]) as unit:
                    await unit.session.connection.execute(statement)
                    await unit.apply(*follow_up)
                return
        async with self.work.database.transaction() as connection:
            await connection.execute(statement)


def _effect_group(row: Any) -> EffectGroup:
    return EffectGroup(row["issue_number"], row["channel"])


async def _apply_result(unit: UnitOfWork, number: int, result: SendResult) -> None:
    """Apply what follows from an effect of this number that was sent."""
    await unit.apply_all(result.conflict_report)
    if result.report:
        await unit.apply_report(result.report)
    unit.session.record_events(*result.events)
    await unit.session.enqueue_effects(number, *result.effects)


def _failure_signal(effect: Effect | None, reason: str) -> tuple[int, Signal] | None:
    """What is known of an agent when it could not be reached for so long: the number of its task, and the news."""
    match effect:
        case StartAgent():
            return effect.number, AgentStartFailed(effect.attempt, reason)
        case PollAgent():
            return effect.number, AgentPollEmpty(effect.attempt)
        case _:
            return None
