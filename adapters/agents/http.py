"""Runs agents over HTTP: a known service (`preset`) or any server (`url`).

None of them reliably sends events, so they are polled (`AgentBase.poll_seconds`). Responses are checked here before
they are used: ids and addresses by their form, messages by `AgentSeen`'s readers.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from adapters.agents.base import CannotStart, RepositoryContext, StartResult, Unavailable
from adapters.agents.generic_http import GenericHttpService
from adapters.agents.presets import PRESETS
from adapters.agents.public_addresses import public_session, reject_internal_url
from adapters.agents.service import AgentRequest, Service, ServiceSession
from adapters.agents.service_client import (
    NoResponse,
    NotFound,
    RateLimited,
    ServiceClient,
)
from config.agent_kinds import AgentBase, HttpAgent
from core.assignment.session_output import MAX_OUTPUT_LENGTH, parse_session_output
from core.effects.base import CancelAgent, MessageAgent, PollAgent, StartAgent
from core.intake.references import branch_name
from core.signals.base import AgentSeen
from core.task.model import Role, SessionState
from core.texts import handoff_text

_SESSION_ID: Final = re.compile(r"[\w.:~-]{1,200}", re.ASCII)
_PAGE_URL: Final = re.compile(r"https?://[\w.:-]{1,253}(?:/[\w./~%:@!$&*+,;=?#-]{0,500})?", re.ASCII)
_PULL_REFERENCE: Final = re.compile(
    r"(?:https?://[\w.:-]{1,253}/([\w.-]{1,39}/[\w.-]{1,100})/pulls?/)?([1-9]\d{0,8})", re.ASCII
)


class HttpAdapter:
    """Talks to services outside GitHub."""

    async def probe(self, context: RepositoryContext, spec: AgentBase) -> tuple[str, ...]:
        """Whether the key is there and good, the service answers, and it knows the repository."""
        try:
            async with _open_service(context, spec) as (service, client):
                return await service.check(client, context)
        except (CannotStart, Unavailable, NoResponse, NotFound) as problem:
            return (str(problem),)

    async def start(
        self, context: RepositoryContext, spec: AgentBase, effect: StartAgent, *, is_retry: bool
    ) -> StartResult:
        """Start the service on the packet, unless it already works on it."""
        request = _make_request(context, effect)
        async with _open_service(context, spec) as (service, client):
            session = await service.find_session(client, request) if is_retry else None
            if session is None:
                try:
                    session = await service.start_session(client, request)
                except NotFound as problem:
                    raise CannotStart(
                        f"{problem}. Check the address of the service and whether the agent is allowed there."
                    ) from None
        if session.unavailable_reason:
            raise Unavailable(f"{service.name} cannot continue: {session.unavailable_reason}")
        return StartResult(_session_id(service, session), _page_url(session))

    async def poll(self, context: RepositoryContext, spec: AgentBase, effect: PollAgent) -> AgentSeen | None:
        """Read the state of the session. Raises `Unavailable` if it cannot continue for lack of credit."""
        request = _make_request(context, effect)
        try:
            async with _open_service(context, spec) as (service, client):
                session = (
                    await service.get_session(client, effect.session, request)
                    if effect.session
                    else await service.find_session(client, request)
                )
                output = await _read_output(service, client, request, session, effect)
        except NotFound:
            return None
        except RateLimited as error:
            raise NoResponse(str(error)) from None  # the bot asked too often; that says nothing about the session
        if session is None:
            return None
        if session.unavailable_reason:
            raise Unavailable(f"{service.name} cannot continue: {session.unavailable_reason}")
        state = session.state
        if state is SessionState.NEEDS_INPUT and parse_session_output(output, effect.role, effect.attempt, ended=False):
            state = SessionState.DELIVERED  # it has answered, and waits whether there is more to do
        return AgentSeen(
            effect.attempt,
            state,
            context.now,
            effect.session or _session_id(service, session),
            _page_url(session),
            session.detail,
            _pull_number(session.pull_url, context.repository),
            output,
        )

    async def send_message(self, context: RepositoryContext, spec: AgentBase, effect: MessageAgent) -> bool:
        """Send the session a message; False if it receives none."""
        request = _make_request(context, effect)
        async with _open_service(context, spec) as (service, client):
            try:
                session = (
                    await service.get_session(client, effect.session, request)
                    if effect.session
                    else await service.find_session(client, request)
                )
                if session is None or session.state.ended:
                    return False
                await service.send_message(
                    client, effect.session or _session_id(service, session), request, effect.text
                )
            except (NotFound, CannotStart):
                return False
        return True

    async def cancel(self, context: RepositoryContext, spec: AgentBase, effect: CancelAgent) -> None:
        """Stop the session, if there is one and it still works."""
        request = _make_request(context, effect)
        async with _open_service(context, spec) as (service, client):
            try:
                session_id = effect.session
                if session_id is None:
                    session = await service.find_session(client, request)
                    if session is None:
                        return
                    session_id = _session_id(service, session)
                await self._stop(service, client, session_id, request)
            except NotFound:
                return
            except Unavailable as error:
                raise NoResponse(str(error)) from None  # it continues until it is stopped: the outbox tries again

    async def _stop(self, service: Service, client: ServiceClient, session_id: str, request: AgentRequest) -> None:
        try:
            await service.stop_session(client, session_id, request)
        except CannotStart:
            # Services refuse to stop what has already ended. Anything else is a real refusal.
            if not (await service.get_session(client, session_id, request)).state.ended:
                raise


@asynccontextmanager
async def _open_service(context: RepositoryContext, spec: AgentBase) -> AsyncIterator[tuple[Service, ServiceClient]]:
    """The agent's service, and a client for it. Raises `CannotStart` if the operator must act first."""
    if not isinstance(spec, HttpAgent):
        raise CannotStart(f"the HTTP adapter cannot start an agent of kind {type(spec).__name__}")
    service: Service = PRESETS[spec.preset] if spec.preset else GenericHttpService()
    name, services = spec.preset or "http", context.services
    key = services.keys.get(name)
    if key is None:
        raise CannotStart(f"{service.name} needs a key: set {service.key_variable} in the bot's environment.")

    def make_client(http: Any, base_url: str) -> ServiceClient:
        return ServiceClient(
            http, service.name, base_url, service.key_variable, key.get_secret_value(), service.headers, context.now
        )

    if spec.preset:
        yield service, make_client(services.http, services.urls.get(name, service.default_url))
    elif services.allows_internal_urls:
        yield service, make_client(services.http, spec.url or "")
    else:
        reject_internal_url(spec.url or "")
        async with public_session(services.http) as http:
            yield service, make_client(http, spec.url or "")


async def _read_output(
    service: Service, client: ServiceClient, request: AgentRequest, session: ServiceSession | None, effect: PollAgent
) -> str:
    """The last message of a session that plans or reviews; not requested before there can be one."""
    if effect.role is Role.IMPLEMENT or session is None:
        return ""
    if session.state not in (SessionState.DELIVERED, SessionState.NEEDS_INPUT):
        return ""
    _session_id(service, session)  # it becomes a part of an address
    return (await service.read_output(client, session, request))[:MAX_OUTPUT_LENGTH]


def _make_request(
    context: RepositoryContext, effect: StartAgent | PollAgent | MessageAgent | CancelAgent
) -> AgentRequest:
    packet = effect.packet if isinstance(effect, StartAgent) else {}
    branch = branch_name(effect.number, effect.attempt)
    task = packet.get("task", {})
    reviewed_pull = packet.get("pull_request")  # who reviews begins from it
    return AgentRequest(
        repository=context.repository,
        repository_url=str(task.get("url", "")).rpartition("/issues/")[0] or f"https://github.com/{context.repository}",
        number=effect.number,
        attempt=effect.attempt,
        agent=effect.agent,
        branch=branch,
        base=str(reviewed_pull["branch"] if reviewed_pull else packet.get("base", context.default_branch)),
        title=str(task.get("title", "")),
        prompt=handoff_text(packet) if packet else "",
        packet=packet,
    )


def _session_id(service: Service, session: ServiceSession) -> str:
    """The session's id, fit for an address."""
    if not _SESSION_ID.fullmatch(session.id) or session.id in (".", ".."):
        raise NoResponse(f"{service.name} returned no valid session id")
    return session.id


def _page_url(session: ServiceSession) -> str:
    """The session's page, fit for a link on the card; empty for what is no plain address."""
    return session.url if _PAGE_URL.fullmatch(session.url) else ""


def _pull_number(reference: str, repository: str) -> int | None:
    """The number of a pull request of this repository."""
    match = _PULL_REFERENCE.fullmatch(reference.removesuffix("/"))
    if match is None or (match[1] or repository).lower() != repository.lower():
        return None
    return int(match[2])
