"""Runs the demo: everything in one process and one temporary directory, which is gone afterwards."""

from __future__ import annotations

import asyncio
import io
import signal
import sys
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from adapters.database.database import DatabaseError
from adapters.database.embedded import DataDirectoryError
from bot.demo.environment import Environment, opened
from bot.demo.files import NoCheckout
from bot.demo.monitor import Snapshot, Watcher
from bot.demo.narration import note
from bot.demo.output import JsonShow, LiveShow, Show, show_for
from bot.demo.scenario import STORY, Scenario
from bot.demo.summary import Outcome, conclude
from bot.logs import configure_logs

LOOK_EVERY = 0.15  # seconds between two pictures
QUIET_SECONDS = 30.0  # at most, for the last words of the bot after the last task has settled
INTERRUPTED = 128 + signal.SIGINT  # exit status, as shells give it
ASKED_TO_END = (signal.SIGTERM, signal.SIGHUP)  # by the system, or because the terminal was closed


class DemoTimeout(RuntimeError):
    """It took too long; the text says what was still open."""


def run_demo(as_json: bool = False, story: Scenario = STORY, show: Show | None = None) -> int:
    """Play the story and show it; gives the exit status, 0 only if every task is done, merged and works.

    1 when it is not, or when it took longer than `story.limit` seconds; 130 after Ctrl-C.
    """
    show = show or show_for(as_json=as_json)
    # A live picture and log lines do not go together: then they are kept, and shown if anything went wrong.
    logs = io.StringIO() if isinstance(show, LiveShow) else sys.stderr
    configure_logs("ERROR" if isinstance(show, JsonShow) else "WARNING", stream=logs)
    status = 1
    try:
        status = asyncio.run(_until_stopped(story, show))
    except KeyboardInterrupt:
        show.close()
        sys.stderr.write("Stopped; the demo has removed everything it started.\n")
        status = INTERRUPTED
    except (DemoTimeout, NoCheckout, DatabaseError, DataDirectoryError, OSError, RuntimeError) as error:
        show.close()
        sys.stderr.write(f"{error}\n")
    finally:
        show.close()
        if status == 1 and isinstance(logs, io.StringIO):
            sys.stderr.write(logs.getvalue())
    return status


async def _until_stopped(story: Scenario, show: Show) -> int:
    """Play it; a request to end cleans up like Ctrl-C does."""
    task = asyncio.current_task()
    loop = asyncio.get_running_loop()
    asked: list[int] = []

    def stop(number: int) -> None:
        asked.append(number)
        if task is not None:
            task.cancel()

    for number in ASKED_TO_END:
        loop.add_signal_handler(number, stop, number)
    try:
        with tempfile.TemporaryDirectory(prefix="orchestrator-demo-") as folder:
            outcome = await _play(Path(folder), story, show)
    except asyncio.CancelledError:
        if asked:
            return 128 + asked[0]
        raise
    finally:
        for number in ASKED_TO_END:
            loop.remove_signal_handler(number)
    show.end(outcome)
    return 0 if outcome.well else 1


async def _play(root: Path, story: Scenario, show: Show) -> Outcome:
    show.begin()
    latest: Snapshot | None = None
    try:
        async with asyncio.timeout(story.limit), opened(root, story) as stage:
            await _while_bot_lives(stage, stage.alice.waits_for_labels())
            watcher = Watcher(stage, stage.bot.clock.now())
            people = [asyncio.create_task(_file(stage)), asyncio.create_task(stage.alice.checks())]
            try:
                while True:
                    latest = await watcher.look()
                    show.update(latest)
                    if latest.over:
                        break
                    for task in (stage.running, *people):
                        if task.done():
                            task.result()  # nobody of them ends before the story but by a failure
                    await asyncio.sleep(LOOK_EVERY)
                await _fall_silent(watcher)
            finally:
                for task in people:
                    task.cancel()
            return await conclude(stage, latest, root)
    except TimeoutError:
        raise DemoTimeout(_given_up(story, latest)) from None


async def _while_bot_lives(stage: Environment, waiting: Coroutine[Any, Any, None]) -> None:
    """Wait for something that only a living bot brings about. Raises what ended the bot, if it ends before."""
    task = asyncio.create_task(waiting)
    try:
        await asyncio.wait({task, stage.running}, return_when=asyncio.FIRST_COMPLETED)
        if stage.running.done():
            stage.running.result()
        await task
    finally:
        task.cancel()


async def _file(stage: Environment) -> None:
    await stage.alice.files_tasks()
    await stage.alice.completes()


async def _fall_silent(watcher: Watcher) -> None:
    """Let the bot finish what it has in hand: labels, cards, closing issues. What it never does, the checks find."""
    for _ in range(round(QUIET_SECONDS / LOOK_EVERY)):
        if await watcher.quiet():
            return
        await asyncio.sleep(LOOK_EVERY)


def _given_up(story: Scenario, latest: Snapshot | None) -> str:
    head = f"The demo stopped after {story.limit:.0f} s"
    if latest is None:
        return f"{head}: the bot did not start."
    open_ones = [f"#{task.number} {task.title}: {task.status}, {note(task)}" for task in latest.tasks if task.is_open]
    missing = latest.expected - len(latest.tasks)
    unknown = [f"{missing} tasks that the bot never saw"] if missing else []
    return "\n  ".join([f"{head}. Still open:", *open_ones, *unknown])
