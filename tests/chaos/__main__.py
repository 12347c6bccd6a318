"""`make chaos`: a storm, and a summary in JSON; the exit status is 0 only if everything holds."""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from bot.logs import configure_logs
from tests.chaos.checks import reckon
from tests.chaos.parameters import SHORT, Scale
from tests.chaos.run import gathering, place, rage


async def storm(scale: Scale, seed: int, folder: Path) -> dict[str, Any]:
    """One storm from the first issue to the summary."""
    async with gathering(scale, seed, folder) as there:
        await rage(there)
        return await reckon(there)


def main(arguments: list[str] | None = None) -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(prog="make chaos ARGS=")
    parser.add_argument("--seed", type=int, help="of a storm that is to be seen again; without it a new one")
    parser.add_argument(
        "--seeds", type=int, default=1, help="so many storms in a row, with seeds that follow each other"
    )
    parser.add_argument("--tasks", type=int, help="so many tasks instead of 200")
    parser.add_argument("--short", action="store_true", help="a small storm, as in the tests")
    parser.add_argument("--keep", type=Path, help="a folder in which the logs of all replicas stay")
    told = parser.parse_args(arguments)
    scale = SHORT if told.short else Scale()
    if told.tasks:
        scale = replace(scale, tasks=told.tasks)
    first = random.SystemRandom().randrange(10**6) if told.seed is None else told.seed
    configure_logs("ERROR", stream=sys.stderr)
    well = True
    for seed in range(first, first + told.seeds):
        print(f"seed {seed}", file=sys.stderr, flush=True)
        with place(told.keep / str(seed) if told.keep else None) as folder:
            summary = asyncio.run(storm(scale, seed, folder))
        print(json.dumps(summary), flush=True)
        well = well and summary["holds"]
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
