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
from tests.chaos.checks import summarize
from tests.chaos.parameters import SHORT, StormParameters
from tests.chaos.run import open_storm, run, storage_folder


async def run_storm(scale: StormParameters, seed: int, folder: Path) -> dict[str, Any]:
    """One storm from the first issue to the summary."""
    async with open_storm(scale, seed, folder) as new_storm:
        await run(new_storm)
        return await summarize(new_storm)


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
    options = parser.parse_args(arguments)
    scale = SHORT if options.short else StormParameters()
    if options.tasks:
        scale = replace(scale, tasks=options.tasks)
    first_seed = random.SystemRandom().randrange(10**6) if options.seed is None else options.seed
    configure_logs("ERROR", stream=sys.stderr)
    all_hold = True
    for seed in range(first_seed, first_seed + options.seeds):
        print(f"seed {seed}", file=sys.stderr, flush=True)
        with storage_folder(options.keep / str(seed) if options.keep else None) as folder:
            summary = asyncio.run(run_storm(scale, seed, folder))
        print(json.dumps(summary), flush=True)
        all_hold = all_hold and summary["holds"]
    return 0 if all_hold else 1


if __name__ == "__main__":
    sys.exit(main())
