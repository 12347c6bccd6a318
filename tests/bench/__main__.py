"""`make bench-assignment`: prints a line of JSON for each figure of the assignment. Nothing of it is a timed test."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable

from bot.logs import configure_logs
from tests.bench import environment, rules
from tests.bench.figure import Figure
from tests.bench.trace import trace_task


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; the exit status is 1 only if something that must hold does not."""
    parser = argparse.ArgumentParser(prog="make bench-assignment ARGS=")
    parser.add_argument("--seconds", type=float, default=60, help="how long requests come in; 300 is five minutes")
    parser.add_argument(
        "--only",
        choices=["rules", "trace", "live"],
        help="only the pure rules, one task's trace, or what needs a world",
    )
    parser.add_argument("--tiny", action="store_true", help="so small that the figures mean nothing: to try it out")
    options = parser.parse_args(arguments)
    configure_logs("ERROR", stream=sys.stderr)
    is_tiny: bool = options.tiny

    def balance() -> list[Figure]:
        return rules.balance(100 if is_tiny else 2_000)

    def scaling() -> list[Figure]:
        return [rules.scaling(20, 200, 10, 1) if is_tiny else rules.scaling()]

    def one_change() -> list[Figure]:
        return [asyncio.run(environment.one_change(20, 2) if is_tiny else environment.one_change())]

    def trace() -> list[Figure]:
        return asyncio.run(trace_task()).figures()

    def failover() -> list[Figure]:
        return [asyncio.run(environment.failover(1, 4) if is_tiny else environment.failover())]

    def latency() -> list[Figure]:
        return [asyncio.run(environment.latency(1, 120, 2, 5) if is_tiny else environment.latency(options.seconds))]

    steps: list[Callable[[], list[Figure]]] = []
    steps += [balance, scaling] if options.only in (None, "rules") else []
    steps += [trace] if options.only in (None, "trace") else []
    steps += [one_change, failover, latency] if options.only in (None, "live") else []
    is_missed = False
    for step in steps:
        for figure in step():
            print(figure.to_json(), flush=True)
            is_missed |= figure.hard_limit is not None and figure.value > figure.hard_limit
    return int(is_missed)


if __name__ == "__main__":
    sys.exit(main())
