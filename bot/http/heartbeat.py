"""Serves `POST /internal/agent/heartbeat`: an agent reports progress and learns whether it still holds the task.

A token of the setting AGENT_TOKENS authenticates the agent.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Sequence
from typing import Annotated, Any

import structlog
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from adapters.database import repositories, store
from adapters.database.repositories import RepositoryRow
from adapters.github import GitHubClient
from config.agent_kinds import NAME_PATTERN
from config.agent_tokens import AgentToken
from config.labels import MAX_NAME_LENGTH
from core.audit.events import EventType
from core.clock import Clock
from core.signals.base import AgentSeen, Signal
from core.task.deadlines import DeadlineKind, deadlines_of
from core.task.model import SessionState
from core.text_safety.sanitize import mask_secrets, one_line
from engine.attempt_results import attempt_results
from engine.session import NoConfiguration
from engine.unit_of_work import UnitOfWorkFactory

log = structlog.get_logger()

PATH = "/internal/agent/heartbeat"
MAX_BODY = 64 * 1024  # bytes
BODY_TIMEOUT_SECONDS = 10.0

_URL_PATTERN = r"^(https://[A-Za-z0-9.:-]+(/[A-Za-z0-9_./~%:@!$&*+,;=?#-]*)?)?$"
PositiveInt = Annotated[int, Field(ge=1, le=10**9)]


class Heartbeat(BaseModel):
    """The body of a heartbeat."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    repository: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,39}/[A-Za-z0-9._-]{1,100}$")]
    task: PositiveInt
    attempt: PositiveInt
    agent: Annotated[str, Field(pattern=NAME_PATTERN, max_length=MAX_NAME_LENGTH)]
    state: SessionState = SessionState.WORKING
    message: Annotated[str, Field(max_length=2000)] = ""  # told to people when the work has ended
    # Of agents that come for their work themselves; of all others the adapter knows better.
    session: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:~-]{1,200}$")] | None = None
    url: Annotated[str, Field(pattern=_URL_PATTERN, max_length=800)] = ""


class HeartbeatRejected(Exception):
    """The heartbeat is rejected; `status` is the response, the text says why and holds no secret."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class HeartbeatTokens:
    """The tokens of AGENT_TOKENS."""

    def __init__(self, agent_tokens: Sequence[AgentToken]) -> None:
        """`agent_tokens` are all that are valid now; without any, every heartbeat is rejected."""
        self._tokens = [(entry, entry.token.get_secret_value().encode()) for entry in agent_tokens]

    def authenticate(self, given_token: str) -> Sequence[AgentToken]:
        """Return the entries with this token. Raises `HeartbeatRejected` (401, 503) if there are none.

        Every token is compared, each in the same time, so that an answer tells nothing of them.
        """
        if not self._tokens:
            raise HeartbeatRejected(
                503, "heartbeats are not configured: set AGENT_TOKENS (agent=token) and restart the bot"
            )
        encoded = given_token.encode("utf-8", "replace")
        matching = [entry for entry, token in self._tokens if hmac.compare_digest(token, encoded)]
        if not matching:
            raise HeartbeatRejected(
                401, "the header Authorization must be `Bearer` followed by a token of AGENT_TOKENS"
            )
        return matching


class HeartbeatEndpoint:
    """Takes heartbeats in as the signal `AgentSeen`; nothing is decided here."""

    def __init__(
        self,
        work: UnitOfWorkFactory,
        client: GitHubClient,
        clock: Clock,
        tokens: HeartbeatTokens,
        result_secrets: Sequence[SecretStr] = (),
    ) -> None:
        """`result_secrets` are the secrets by which the result of a run is known."""
        self._work = work
        self._client = client
        self._clock = clock
        self._tokens = tokens
        self._result_secrets = result_secrets

    async def handle(self, request: web.Request) -> web.Response:
        """Answer one heartbeat: 200 while the lease is the agent's, 409 when it is not or no longer."""
        try:
            return web.json_response(await self._receive(request))
        except HeartbeatRejected as rejection:
            headers = {"WWW-Authenticate": "Bearer"} if rejection.status == 401 else None
            return web.json_response({"error": rejection.reason}, status=rejection.status, headers=headers)

    async def _receive(self, request: web.Request) -> dict[str, Any]:
        scheme, _, given_token = request.headers.get("Authorization", "").partition(" ")
        entries = self._tokens.authenticate(given_token if scheme.lower() == "bearer" else "")
        if (request.content_length or 0) > MAX_BODY:
            raise HeartbeatRejected(413, f"the body is larger than {MAX_BODY} bytes")
        try:
            async with asyncio.timeout(BODY_TIMEOUT_SECONDS):
                body = await request.content.read(MAX_BODY + 1)
                while len(body) <= MAX_BODY and (chunk := await request.content.read(MAX_BODY + 1 - len(body))):
                    body += chunk
        except TimeoutError:
            raise HeartbeatRejected(408, f"the body did not arrive within {BODY_TIMEOUT_SECONDS:g} s") from None
        if len(body) > MAX_BODY:
            raise HeartbeatRejected(413, f"the body is larger than {MAX_BODY} bytes")
        try:
            heartbeat = Heartbeat.model_validate_json(body)
        except ValidationError as error:
            raise HeartbeatRejected(400, _describe_errors(error)) from None
        if not any(entry.covers(heartbeat.repository, heartbeat.agent) for entry in entries):
            raise HeartbeatRejected(403, f"this token is not valid for `{heartbeat.agent}` in {heartbeat.repository}")
        async with self._work.database.autocommit() as connection:
            row = await repositories.find_by_name(connection, heartbeat.repository)
        if row is None or row.config is None:
            raise HeartbeatRejected(404, f"the bot runs no agents in {heartbeat.repository}")
        try:
            return await self._apply(row, heartbeat)
        except NoConfiguration:
            raise HeartbeatRejected(404, f"the bot runs no agents in {heartbeat.repository}") from None

    async def _apply(self, row: RepositoryRow, heartbeat: Heartbeat) -> dict[str, Any]:
        signals: Sequence[Signal] = ()
        if heartbeat.state is SessionState.DELIVERED:
            async with self._work.database.autocommit() as connection:
                stored_task = await store.load_task(connection, row.id, heartbeat.task)
            if stored_task is not None:
                github = self._client.installation(row.installation_id)
                signals = await attempt_results(
                    self._work.database, github, row, stored_task, heartbeat.attempt, self._result_secrets
                )
        async with self._work.begin(row.id, self._clock.now()) as unit:
            task = await unit.session.load_task(heartbeat.task)
            if task is None or task.untracked:
                raise HeartbeatRejected(404, f"#{heartbeat.task} is not a task in {heartbeat.repository}")
            lease = task.find_lease(heartbeat.attempt)
            if lease and lease.worker == heartbeat.agent:
                for signal in signals:
                    await unit.apply(heartbeat.task, signal)
            decision = await unit.apply(heartbeat.task, self._to_signal(row, heartbeat))
        current_task = decision.task or task
        if any(event.type is EventType.LATE_RESULT for event in decision.events):
            log.info("heartbeat_late", repository=heartbeat.repository, task=heartbeat.task, attempt=heartbeat.attempt)
            raise HeartbeatRejected(
                409,
                f"`{heartbeat.agent}` does not hold attempt {heartbeat.attempt} of #{heartbeat.task}, or no longer: "
                "stop working on it. The bot recorded this heartbeat and does not apply it",
            )
        due_times = [
            deadline.due_at
            for deadline in deadlines_of(current_task, unit.session.policy.timeouts)
            if deadline.kind is DeadlineKind.HEARTBEAT and deadline.attempt == heartbeat.attempt
        ]
        return {"status": current_task.status.value, "deadline": due_times[0].isoformat() if due_times else None}

    def _to_signal(self, row: RepositoryRow, heartbeat: Heartbeat) -> AgentSeen:
        spec = row.config.agents.get(heartbeat.agent) if row.config else None
        fetches_work = spec is not None and spec.fetches_work
        detail = f"ended with {heartbeat.state}"
        if message := one_line(mask_secrets(heartbeat.message), 150):
            detail += f" ({message})"
        return AgentSeen(
            heartbeat.attempt,
            heartbeat.state,
            self._clock.now(),
            session=heartbeat.session if fetches_work else None,
            url=heartbeat.url if fetches_work else "",
            detail=detail if heartbeat.state.ended else "",
            agent=heartbeat.agent,
        )


def _describe_errors(error: ValidationError) -> str:
    """What is wrong with the body, in words for the agent's developer; values are not repeated."""
    errors = error.errors(include_url=False, include_context=False, include_input=False)
    parts = (
        f"`{'.'.join(map(str, error_details['loc']))}`: {error_details['msg']}"
        if error_details["loc"]
        else error_details["msg"]
        for error_details in errors[:10]
    )
    return one_line("; ".join(parts), 1000)
