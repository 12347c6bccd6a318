"""Runs the demo in one process and one temporary directory, which is removed afterwards."""

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
from bot.demo.environment import Environment, open_environment
from bot.demo.files import MissingCheckout
from bot.demo.monitor import Snapshot, Watcher
from bot.demo.narration import status_note
from bot.demo.output import JsonOutput, LiveOutput, Output, choose_output
from bot.demo.scenario import SCENARIO, Scenario
from bot.demo.summary import Outcome, conclude
from bot.logs import configure_logs

REFRESH_SECONDS = 0.15  # seconds between two pictures
MAX_IDLE_WAIT_SECONDS = 30.0  # at most, for the last words of the bot after the last task has settled
INTERRUPTED_STATUS = 128 + signal.SIGINT  # exit status, as shells give it
STOP_SIGNALS = (signal.SIGTERM, signal.SIGHUP)  # by the system, or because the terminal was closed


class DemoTimeout(RuntimeError):
    """It took too long; the text says what was still open."""


def run_demo(as_json: bool = False, scenario: Scenario = SCENARIO, output: Output | None = None) -> int:
    """Play the story and show it; returns the exit status, 0 only if every task is done, merged and works.

    1 when it is not, or when it took longer than `story.limit` seconds; 130 after Ctrl-C.
    """
    output = output or choose_output(as_json=as_json)
    # A live picture and log lines do not go together: then they are kept, and shown if anything went wrong.
    logs = io.StringIO() if isinstance(output, LiveOutput) else sys.stderr
    configure_logs("ERROR" if isinstance(output, JsonOutput) else "WARNING", stream=logs)
    status = 1
    try:
        status = asyncio.run(_run_until_stopped(scenario, output))
    except KeyboardInterrupt:
        output.close()
        sys.stderr.write("Stopped; the demo has removed everything it started.\n")
        status = INTERRUPTED_STATUS
    except (DemoTimeout, MissingCheckout, DatabaseError, DataDirectoryError, OSError, RuntimeError) as error:
        output.close()
        sys.stderr.write(f"{error}\n")
    finally:
        output.close()
        if status == 1 and isinstance(logs, io.StringIO):
            sys.stderr.write(logs.getvalue())
    return status


async def _run_until_stopped(scenario: Scenario, output: Output) -> int:
    """Play it; a request to end cleans up like Ctrl-C does."""
    task = asyncio.current_task()
    loop = asyncio.get_running_loop()
    received_signals: list[int] = []

    def stop(number: int) -> None:
        received_signals.append(number)
        if task is not None:
            task.cancel()

    for signal_number in STOP_SIGNALS:
        loop.add_signal_handler(signal_number, stop, signal_number)
    try:
        with tempfile.TemporaryDirectory(prefix="orchestrator-demo-") as folder:
            outcome = await _play(Path(folder), scenario, output)
    except asyncio.CancelledError:
        if received_signals:
            return 128 + received_signals[0]
        raise
    finally:
        for signal_number in STOP_SIGNALS:
            loop.remove_signal_handler(signal_number)
    output.end(outcome)
    return 0 if outcome.is_success else 1


async def _play(root: Path, scenario: Scenario, output: Output) -> Outcome:
    output.begin()
    latest: Snapshot | None = None
    try:
        async with asyncio.timeout(scenario.timeout_seconds), open_environment(root, scenario) as environment:
            await _wait_while_bot_runs(environment, environment.alice.wait_for_labels())
            watcher = Watcher(environment, environment.bot.clock.now())
            maintainer_tasks = [
                asyncio.create_task(_run_maintainer(environment)),
                asyncio.create_task(environment.alice.review_pulls()),
            ]
            try:
                while True:
                    latest = await watcher.take_snapshot()
                    output.update(latest)
                    if latest.is_finished:
                        break
                    for task in (environment.bot_task, *maintainer_tasks):
                        if task.done():
                            task.result()  # no part ends before the scenario, except by a failure
                    await asyncio.sleep(REFRESH_SECONDS)
                await _wait_until_idle(watcher)
            finally:
                for task in maintainer_tasks:
                    task.cancel()
            return await conclude(environment, latest, root)
    except TimeoutError:
        raise DemoTimeout(_timeout_message(scenario, latest)) from None


async def _wait_while_bot_runs(environment: Environment, awaited: Coroutine[Any, Any, None]) -> None:
    """Wait for something that only a living bot brings about. Raises what ended the bot, if it ends before."""
    task = asyncio.create_task(awaited)
    try:
        await asyncio.wait({task, environment.bot_task}, return_when=asyncio.FIRST_COMPLETED)
        if environment.bot_task.done():
            environment.bot_task.result()
        await task
    finally:
        task.cancel()


async def _run_maintainer(environment: Environment) -> None:
    await environment.alice.file_tasks()
    await environment.alice.complete_issues()


async def _wait_until_idle(watcher: Watcher) -> None:
    """Let the bot finish what it has in hand: labels, cards, closing issues. What it never does, the checks find."""
    for _ in range(round(MAX_IDLE_WAIT_SECONDS / REFRESH_SECONDS)):
        if await watcher.is_idle():
            return
        await asyncio.sleep(REFRESH_SECONDS)


def _timeout_message(scenario: Scenario, latest: Snapshot | None) -> str:
    heading = f"The demo stopped after {scenario.timeout_seconds:.0f} s"
    if latest is None:
        return f"{heading}: the bot did not start."
    open_tasks = [
        f"#{task.number} {task.title}: {task.status}, {status_note(task)}" for task in latest.tasks if task.is_open
    ]
    missing = latest.expected - len(latest.tasks)
    missing_lines = [f"{missing} tasks that the bot never saw"] if missing else []
    return "\n  ".join([f"{heading}. Still open:", *open_tasks, *missing_lines])
