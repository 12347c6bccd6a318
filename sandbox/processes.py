"""Starting a process so that whoever waits for its start may be cancelled."""

from __future__ import annotations

import asyncio
from typing import Any


async def start_process(program: str, *arguments: str, **options: Any) -> asyncio.subprocess.Process:
    """What `asyncio.create_subprocess_exec` does. A cancelled caller takes the process with it.

    Cancelled between the start of the process and the opening of its pipes, asyncio's own waits for ever (seen with
    Python 3.11): it wakes up when all pipes are closed, and some were never opened. So the start is never cancelled.
    """
    starting = asyncio.create_task(asyncio.create_subprocess_exec(program, *arguments, **options))
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        process = await starting
        if process.returncode is None:
            process.kill()
        await process.wait()
        raise
