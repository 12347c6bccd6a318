"""The bot is two processes, one that takes in and one that works. From outside they are one, and they end together."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from pathlib import Path

import aiohttp
import pytest

from tests.process.test_serve import PATIENCE, Process, Site, site, until

__all__ = ["site"]  # the fixture

pytestmark = pytest.mark.full


def _front(process: Process) -> int:
    children = Path(f"/proc/{process.child.pid}/task/{process.child.pid}/children")
    if not children.exists():
        pytest.skip("this system does not tell who the children of a process are")
    # It was forked, so it goes by the command of the bot; git and PostgreSQL do not.
    command = Path(f"/proc/{process.child.pid}/cmdline").read_text()
    pids = [pid for pid in children.read_text().split() if Path(f"/proc/{pid}/cmdline").exists()]
    return next(int(pid) for pid in pids if Path(f"/proc/{pid}/cmdline").read_text() == command)


def _listens(address: str) -> bool:
    host, _, port = address.removeprefix("http://").partition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


def _lives(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status")
    return status.exists() and "State:\tZ" not in status.read_text()


async def test_what_only_the_other_can_answer_is_handed_on(site: Site) -> None:
    site.env["AGENT_TOKENS"] = f"claude={'a-secret-of-claude' * 3}"
    async with site.bot() as bot, aiohttp.ClientSession() as http:
        async with http.get(f"{bot.address}/metrics") as answer:
            page = await answer.text()
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        names = [line.split()[2] for line in page.splitlines() if line.startswith("# TYPE")]
        assert {"orchestrator_deliveries_waiting", "queue_depth", "orchestrator_github_requests_total"} <= set(names)
        assert len(names) == len(set(names)), "something is told by both"
        async with http.post(f"{bot.address}/internal/agent/heartbeat", json={}) as answer:
            assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
        for path in ("healthz", "readyz"):
            async with http.get(f"{bot.address}/{path}") as answer:
                assert answer.status == 200
        assert os.getpriority(os.PRIO_PROCESS, bot.child.pid) > os.getpriority(os.PRIO_PROCESS, _front(bot))
        assert await bot.terminate() == 0


async def test_without_the_ingress_process_the_bot_exits(site: Site) -> None:
    async with site.bot() as bot:
        os.kill(_front(bot), signal.SIGKILL)
        async with asyncio.timeout(PATIENCE):
            assert await bot.child.wait() == 2
    async with site.bot() as bot:
        assert await bot.terminate() == 0


async def test_a_front_does_not_outlive_the_bot(site: Site) -> None:
    async with site.bot() as bot:
        front = _front(bot)
        await bot.kill()
        await until(lambda: not _lives(front))
        assert not _listens(bot.address)
    async with site.bot() as bot:  # and the database, which no process stopped, ends with this one
        assert await bot.terminate() == 0


async def test_a_signal_to_both_ends_them_in_order(site: Site) -> None:
    """As when a user presses Ctrl-C, or a service manager ends the whole group."""
    async with site.bot() as bot:
        front = _front(bot)
        os.kill(front, signal.SIGINT)
        os.kill(front, signal.SIGTERM)
        assert _listens(bot.address)
        assert await bot.terminate() == 0
        await until(lambda: not _lives(front))
