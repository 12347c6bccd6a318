"""Runs agents over HTTP: a known service (`preset`) or any server (`url`).

None of them reliably sends events, so they are polled (`AgentBase.poll_seconds`). Responses are checked here before
they are used: ids and addresses by their form, messages by `AgentSeen`'s readers.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from adapters.agents.base import CannotStart, RepositoryContext, Started, Unavailable
from adapters.agents.generic_http import GenericHttpService
from adapters.agents.presets import PRESETS
from adapters.agents.service import AgentRequest, Service, Session
from adapters.agents.service_client import (
    NoResponse,
    NotFound,
    RateLimited,
    ServiceClient,
    public_session,
    refuse_inside,
)
from config.agent_kinds import AgentBase, HttpAgent
from core.assignment.session_output import LONGEST, answer
from core.effects.base import CancelAgent, MessageAgent, PollAgent, StartAgent
from core.intake.references import branch_name
from core.signals.base import AgentSeen
from core.task.model import Role, SessionState
from core.texts import handoff_text

_SESSION_ID: Final = re.compile(r"[\w.:~-]{1,200}", re.ASCII)
_PAGE: Final = re.compile(r"https?://[\w.:-]{1,253}(?:/[\w./~%:@!$&*+,;=?#-]{0,500})?", re.ASCII)
_PULL: Final = re.compile(r"(?:https?://[\w.:-]{1,253}/([\w.-]{1,39}/[\w.-]{1,100})/pulls?/)?([1-9]\d{0,8})", re.ASCII)


class HttpAdapter:
    """Talks to services outside GitHub."""

    async def probe(self, site: RepositoryContext, spec: AgentBase) -> tuple[str, ...]:
        """Whether the key is there and good, the service answers, and it knows the repository."""
        try:
            async with _reached(site, spec) as (service, line):
                return await service.check(line, site)
        except (CannotStart, Unavailable, NoResponse, NotFound) as problem:
            return (str(problem),)

    async def start(self, site: RepositoryContext, spec: AgentBase, order: StartAgent, *, again: bool) -> Started:
        """Start the service on the packet, unless it already works on it."""
        job = _job(site, order)
        async with _reached(site, spec) as (service, line):
            session = await service.find(line, job) if again else None
            if session is None:
                try:
                    session = await service.begin(line, job)
                except NotFound as problem:
                    raise CannotStart(
                        f"{problem}. Check the address of the service and whether the agent is allowed there."
                    ) from None
        if session.used_up:
            raise Unavailable(f"{service.name} cannot continue: {session.used_up}")
        return Started(_id(service, session), _page(session))

    async def poll(self, site: RepositoryContext, spec: AgentBase, order: PollAgent) -> AgentSeen | None:
        """Read the state of the session. Raises `Unavailable` if it cannot continue for lack of credit."""
        job = _job(site, order)
        try:
            async with _reached(site, spec) as (service, line):
                session = (
                    await service.look(line, order.session, job) if order.session else await service.find(line, job)
                )
                words = await _words(service, line, job, session, order)
        except NotFound:
            return None
        except RateLimited as limit:
            raise NoResponse(str(limit)) from None  # the bot asked too often; that says nothing about the session
        if session is None:
            return None
        if session.used_up:
            raise Unavailable(f"{service.name} cannot continue: {session.used_up}")
        state = session.state
        if state is SessionState.NEEDS_INPUT and answer(words, order.role, order.attempt, ended=False):
            state = SessionState.DELIVERED  # it has answered, and waits whether there is more to do
        return AgentSeen(
            order.attempt,
            state,
            site.now,
            order.session or _id(service, session),
            _page(session),
            session.detail,
            _pull_number(session.pull, site.repository),
            words,
        )

    async def steer(self, site: RepositoryContext, spec: AgentBase, order: MessageAgent) -> bool:
        """Send the session a message; False if it receives none."""
        job = _job(site, order)
        async with _reached(site, spec) as (service, line):
            try:
                session = (
                    await service.look(line, order.session, job) if order.session else await service.find(line, job)
                )
                if session is None or session.state.ended:
                    return False
                await service.say(line, order.session or _id(service, session), job, order.text)
            except (NotFound, CannotStart):
                return False
        return True

    async def cancel(self, site: RepositoryContext, spec: AgentBase, order: CancelAgent) -> None:
        """Stop the session, if there is one and it still works."""
        job = _job(site, order)
        async with _reached(site, spec) as (service, line):
            try:
                session = order.session
                if session is None:
                    found = await service.find(line, job)
                    if found is None:
                        return
                    session = _id(service, found)
                await self._stop(service, line, session, job)
            except NotFound:
                return
            except Unavailable as limit:
                raise NoResponse(str(limit)) from None  # it continues until it is stopped: the outbox tries again

    async def _stop(self, service: Service, line: ServiceClient, session: str, job: AgentRequest) -> None:
        try:
            await service.stop(line, session, job)
        except CannotStart:
            # Services refuse to stop what has already ended. Anything else is a real refusal.
            if not (await service.look(line, session, job)).state.ended:
                raise


@asynccontextmanager
async def _reached(site: RepositoryContext, spec: AgentBase) -> AsyncIterator[tuple[Service, ServiceClient]]:
    """The agent's service, and a client for it. Raises `CannotStart` if the operator must act first."""
    if not isinstance(spec, HttpAgent):
        raise CannotStart(f"the HTTP adapter cannot start an agent of kind {type(spec).__name__}")
    service: Service = PRESETS[spec.preset] if spec.preset else GenericHttpService()
    name, services = spec.preset or "http", site.services
    key = services.keys.get(name)
    if key is None:
        raise CannotStart(f"{service.name} needs a key: set {service.variable} in the bot's environment.")

    def line(http: Any, base: str) -> ServiceClient:
        return ServiceClient(
            http, service.name, base, service.variable, key.get_secret_value(), service.headers, site.now
        )

    if spec.preset:
        yield service, line(services.http, services.urls.get(name, service.address))
    elif services.internal:
        yield service, line(services.http, spec.url or "")
    else:
        refuse_inside(spec.url or "")
        async with public_session(services.http) as http:
            yield service, line(http, spec.url or "")


async def _words(
    service: Service, line: ServiceClient, job: AgentRequest, session: Session | None, order: PollAgent
) -> str:
    """The last message of a session that plans or reviews; not requested before there can be one."""
    if order.role is Role.IMPLEMENT or session is None:
        return ""
    if session.state not in (SessionState.DELIVERED, SessionState.NEEDS_INPUT):
        return ""
    _id(service, session)  # it becomes a part of an address
    return (await service.words(line, session, job))[:LONGEST]


def _job(site: RepositoryContext, order: StartAgent | PollAgent | MessageAgent | CancelAgent) -> AgentRequest:
    packet = order.packet if isinstance(order, StartAgent) else {}
    branch = branch_name(order.number, order.attempt)
    task = packet.get("task", {})
    under_review = packet.get("pull_request")  # who reviews begins from it
    return AgentRequest(
        repository=site.repository,
        address=str(task.get("url", "")).rpartition("/issues/")[0] or f"https://github.com/{site.repository}",
        number=order.number,
        attempt=order.attempt,
        agent=order.agent,
        branch=branch,
        base=str(under_review["branch"] if under_review else packet.get("base", site.default_branch)),
        title=str(task.get("title", "")),
        prompt=handoff_text(packet) if packet else "",
        packet=packet,
    )


def _id(service: Service, session: Session) -> str:
    """The session's id, fit for an address."""
    if not _SESSION_ID.fullmatch(session.id) or session.id in (".", ".."):
        raise NoResponse(f"{service.name} returned no valid session id")
    return session.id


def _page(session: Session) -> str:
    """The session's page, fit for a link on the card; empty for what is no plain address."""
    return session.url if _PAGE.fullmatch(session.url) else ""


def _pull_number(told: str, repository: str) -> int | None:
    """The number of a pull request of this repository."""
    match = _PULL.fullmatch(told.removesuffix("/"))
    if match is None or (match[1] or repository).lower() != repository.lower():
        return None
    return int(match[2])
