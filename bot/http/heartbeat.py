"""`POST /internal/agent/heartbeat`: an agent says that it is at work, how it goes, and learns whether the task is its.

Who speaks is proved by a token of the setting AGENT_TOKENS. `Credentials` is the place for another proof, such as the
identity tokens of GitHub Actions.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Sequence
from typing import Annotated, Any, Protocol

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
from engine.unit_of_work import NoConfiguration, UnitOfWorkFactory

log = structlog.get_logger()

PATH = "/internal/agent/heartbeat"
MAX_BODY = 64 * 1024  # bytes
BODY_TIMEOUT_SECONDS = 10.0

_PAGE = r"^(https://[A-Za-z0-9.:-]+(/[A-Za-z0-9_./~%:@!$&*+,;=?#-]*)?)?$"
Number = Annotated[int, Field(ge=1, le=10**9)]


class Heartbeat(BaseModel):
    """What an agent says."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    repository: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,39}/[A-Za-z0-9._-]{1,100}$")]
    task: Number
    attempt: Number
    agent: Annotated[str, Field(pattern=NAME_PATTERN, max_length=MAX_NAME_LENGTH)]
    state: SessionState = SessionState.WORKING
    message: Annotated[str, Field(max_length=2000)] = ""  # told to people when the work has ended
    # Of agents that come for their work themselves; of all others the adapter knows better.
    session: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:~-]{1,200}$")] | None = None
    url: Annotated[str, Field(pattern=_PAGE, max_length=800)] = ""


class Refused(Exception):
    """The heartbeat is not taken; `status` is the answer, the text says why and holds nothing secret."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class Grant(Protocol):
    """What a proof allows."""

    def covers(self, repository: str, agent: str) -> bool:
        """Whether its bearer may speak for this agent there."""
        ...


class Credentials(Protocol):
    """Who may speak for which agent."""

    def grants(self, proof: str) -> Sequence[Grant]:
        """What this proof allows; raises `Refused` (401, 503) when it proves nothing."""
        ...


class HeartbeatTokens:
    """The tokens of AGENT_TOKENS."""

    def __init__(self, known: Sequence[AgentToken]) -> None:
        """`known` are all that are valid now; without any, every heartbeat is refused."""
        self._known = [(entry, entry.token.get_secret_value().encode()) for entry in known]

    def grants(self, proof: str) -> Sequence[Grant]:
        """Every token is compared, each in the same time, so that an answer tells nothing of them."""
        if not self._known:
            raise Refused(503, "heartbeats are not configured: set AGENT_TOKENS (agent=token) and restart the bot")
        given = proof.encode("utf-8", "replace")
        matching = [entry for entry, token in self._known if hmac.compare_digest(token, given)]
        if not matching:
            raise Refused(401, "the header Authorization must be `Bearer` followed by a token of AGENT_TOKENS")
        return matching


class HeartbeatEndpoint:
    """Takes heartbeats in as the signal `AgentSeen`; nothing is decided here."""

    def __init__(
        self,
        work: UnitOfWorkFactory,
        client: GitHubClient,
        clock: Clock,
        credentials: Credentials,
        answers: Sequence[SecretStr] = (),
    ) -> None:
        """`answers` are the secrets by which the answer of a run is known."""
        self._work = work
        self._client = client
        self._clock = clock
        self._credentials = credentials
        self._answers = answers

    async def handle(self, request: web.Request) -> web.Response:
        """Answer one heartbeat: 200 while the lease is the agent's, 409 when it is not or no longer."""
        try:
            return web.json_response(await self._take(request))
        except Refused as refused:
            headers = {"WWW-Authenticate": "Bearer"} if refused.status == 401 else None
            return web.json_response({"error": refused.reason}, status=refused.status, headers=headers)

    async def _take(self, request: web.Request) -> dict[str, Any]:
        scheme, _, proof = request.headers.get("Authorization", "").partition(" ")
        grants = self._credentials.grants(proof if scheme.lower() == "bearer" else "")
        if (request.content_length or 0) > MAX_BODY:
            raise Refused(413, f"the body is larger than {MAX_BODY} bytes")
        try:
            async with asyncio.timeout(BODY_TIMEOUT_SECONDS):
                body = await request.content.read(MAX_BODY + 1)
                while len(body) <= MAX_BODY and (more := await request.content.read(MAX_BODY + 1 - len(body))):
                    body += more
        except TimeoutError:
            raise Refused(408, f"the body did not arrive within {BODY_TIMEOUT_SECONDS:g} s") from None
        if len(body) > MAX_BODY:
            raise Refused(413, f"the body is larger than {MAX_BODY} bytes")
        try:
            told = Heartbeat.model_validate_json(body)
        except ValidationError as error:
            raise Refused(400, _mistakes(error)) from None
        if not any(grant.covers(told.repository, told.agent) for grant in grants):
            raise Refused(403, f"this token is not valid for `{told.agent}` in {told.repository}")
        async with self._work.database.autocommit() as connection:
            row = await repositories.find_by_name(connection, told.repository)
        if row is None or row.config is None:
            raise Refused(404, f"the bot runs no agents in {told.repository}")
        try:
            return await self._apply(row, told)
        except NoConfiguration:
            raise Refused(404, f"the bot runs no agents in {told.repository}") from None

    async def _apply(self, row: RepositoryRow, told: Heartbeat) -> dict[str, Any]:
        found: Sequence[Signal] = ()
        if told.state is SessionState.DELIVERED:
            async with self._work.database.autocommit() as connection:
                known = await store.load_task(connection, row.id, told.task)
            if known is not None:
                github = self._client.installation(row.installation_id)
                found = await attempt_results(self._work.database, github, row, known, told.attempt, self._answers)
        async with self._work.on(row.id, self._clock.now()) as unit:
            task = await unit.task(told.task)
            if task is None or task.withdrawn:
                raise Refused(404, f"#{told.task} is not a task in {told.repository}")
            lease = task.lease_of(told.attempt)
            if lease and lease.worker == told.agent:
                for signal in found:
                    await unit.apply(told.task, signal)
            decision = await unit.apply(told.task, self._signal(row, told))
        after = decision.task or task
        if any(event.type is EventType.LATE_RESULT for event in decision.events):
            log.info("heartbeat_late", repository=told.repository, task=told.task, attempt=told.attempt)
            raise Refused(
                409,
                f"`{told.agent}` does not hold attempt {told.attempt} of #{told.task}, or no longer: "
                "stop working on it. The bot recorded this heartbeat and does not apply it",
            )
        due = [
            d.due_at
            for d in deadlines_of(after, unit.policy.timeouts)
            if d.kind is DeadlineKind.HEARTBEAT and d.attempt == told.attempt
        ]
        return {"status": after.status.value, "deadline": due[0].isoformat() if due else None}

    def _signal(self, row: RepositoryRow, told: Heartbeat) -> AgentSeen:
        spec = row.config.agents.get(told.agent) if row.config else None
        own = spec is not None and spec.comes_for_work
        detail = f"ended with {told.state}"
        if words := one_line(mask_secrets(told.message), 150):
            detail += f" ({words})"
        return AgentSeen(
            told.attempt,
            told.state,
            self._clock.now(),
            session=told.session if own else None,
            url=told.url if own else "",
            detail=detail if told.state.ended else "",
            agent=told.agent,
        )


def _mistakes(error: ValidationError) -> str:
    """What is wrong with the body, in the words of whoever has to mend it; values are not repeated."""
    told = error.errors(include_url=False, include_context=False, include_input=False)
    parts = (f"`{'.'.join(map(str, e['loc']))}`: {e['msg']}" if e["loc"] else e["msg"] for e in told[:10])
    return one_line("; ".join(parts), 1000)
