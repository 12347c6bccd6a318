"""`make bench-conflicts`: a line of JSON for each figure of the checks for conflicts. Nothing of it is a timed test."""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from statistics import median
from time import perf_counter

from adapters.git import Git, Matrix, MatrixResult, MergeError, Mirror
from adapters.git.merge_output import ParsedMerge
from adapters.git.merge_tree import run_merges
from adapters.git.scratch import scratch_objects
from tests.bench.figure import Figure
from tests.bench.forecast import forecasts
from tests.bench.generated import ENVIRONMENT, Generated, generate

ROOT = Path(__file__).parents[2]
PUSHES = 15
REPLAYED = 400  # merges, the latest
TRIES = 5
WHO = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com")
Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Place:
    """A generated repository and its mirror, with everything fetched."""

    made: Generated
    mirror: Mirror
    heads: dict[int, str]
    pushed: list[str]  # heads of further branches


@asynccontextmanager
async def place(folder: Path, files: int, commits: int, branches: int, pushes: int) -> AsyncIterator[Place]:
    """Make and fetch it."""
    made = await asyncio.to_thread(generate, folder / "github", 1, files, commits, branches + pushes)
    git = Git(allow_file_protocol=True, timeout=3_600, max_readers=1)
    mirror = Mirror(folder / "data", 1, f"file://{made.path}", git)
    await mirror.fetch(["refs/heads/main", *(f"refs/heads/{branch.name}" for branch in made.branches)])
    heads = {number: branch.sha for number, branch in enumerate(made.branches)}
    try:
        yield Place(made, mirror, dict(list(heads.items())[:branches]), list(heads.values())[branches:])
    finally:
        await git.close()


async def check(at: Place, folder: Path, checks: int) -> Figure:
    """A branch against its base: as one of all that are checked after a push to main, by itself, and in a work tree."""
    work = folder / "work"
    heads, base = list(at.heads.values())[:checks], at.made.main

    def git(*arguments: str, cwd: Path | None = work) -> float:
        begun = perf_counter()
        who = {
            "GIT_AUTHOR_NAME": "a",
            "GIT_AUTHOR_EMAIL": "a@b",
            "GIT_COMMITTER_NAME": "a",
            "GIT_COMMITTER_EMAIL": "a@b",
        }
        subprocess.run(["git", *arguments], cwd=cwd, env={**ENVIRONMENT, **who}, capture_output=True, check=False)
        return perf_counter() - begun

    git("clone", "-q", str(at.made.path), str(work), cwd=None)
    git("checkout", "-q", "--detach", base)
    there, alone, together = [], [], []
    matrix = Matrix()
    await matrix.compare(at.mirror, base, {0: base})  # the base is known, as it is but once after each push to main
    for head in heads:
        # What is left of the one before is cleared away, then merged: the least that a reused work tree needs.
        there.append(git("reset", "-q", "--hard", base) + git("merge", "-q", "--no-commit", "--no-ff", head))
        begun = perf_counter()
        await matrix.compare(at.mirror, base, {0: head})
        alone.append(perf_counter() - begun)
    for _ in range(TRIES):
        begun = perf_counter()
        await Matrix().compare(at.mirror, base, at.heads, keys=())
        together.append((perf_counter() - begun) / len(at.heads))
    how = {
        "check_ms": round(median(together) * 1000, 2),
        "worktree_ms": round(median(there) * 1000, 1),
        "what": f"one of {len(at.heads)} checks after a push to main",
        "check_alone_ms": round(median(alone) * 1000, 1),
        "alone_times": round(median(there) / median(alone), 1),
    }
    return Figure("check_vs_worktree", median(there) / median(together), "times", 50, how=how, at_least=True)


async def matrix_seconds(at: Place, tries: int) -> tuple[float, MatrixResult]:
    """How long all pairs take from nothing, and what comes of it."""
    took = []
    for _ in range(tries):
        matrix = Matrix()
        begun = perf_counter()
        found = await matrix.compare(at.mirror, at.made.main, at.heads)
        took.append(perf_counter() - begun)
    return median(took), found


async def pairs(at: Place, full: float, found: MatrixResult) -> list[Figure]:
    """Against merging every pair, in one git process; and the verdicts against those of merging every pair."""
    every = list(combinations(sorted(at.heads), 2))
    begun = perf_counter()
    async with scratch_objects(at.mirror) as scratch:
        asked = [(at.heads[one], at.heads[other]) for one, other in every]
        raw = await run_merges(at.mirror, asked, scratch.environment)
    exhaustive = perf_counter() - begun
    clean = {key for key, trial in found.base_merges.items() if trial.clean}
    async with scratch_objects(at.mirror) as scratch:
        tried = await run_merges(at.mirror, [(at.made.main, at.heads[key]) for key in clean], scratch.environment)
        ours = {
            key: scratch.write_commit(result.tree, at.made.main)
            for key, result in zip(clean, tried, strict=True)
            if isinstance(result, ParsedMerge)
        }
        based = [pair for pair in every if clean.issuperset(pair)]
        true = await run_merges(at.mirror, [(ours[one], ours[other]) for one, other in based], scratch.environment)
    clashes = {(clash.low, clash.high) for clash in found.conflicts}
    wrong = sum(_dirty(result) is not (pair in clashes) for pair, result in zip(based, true, strict=True))
    how = {
        "exhaustive_ms": round(exhaustive * 1000),
        "matrix_ms": round(full * 1000),
        "pairs": len(every),
        "clashes": len(clashes),
        "shared": len(found.mergeable),
    }
    faster = Figure("pairs200_vs_exhaustive", exhaustive / full, "times", 10, how=how, at_least=True)
    differ = {pair for pair, result in zip(every, raw, strict=True) if _dirty(result) is not (pair in clashes)}
    against = {"compared": len(based), "differ_from_raw_heads": len(differ), **_explained(at, differ, found)}
    return [faster, Figure("verdict_mismatches", wrong + len(found.undecided), "pairs", 0, 0, against)]


def _dirty(result: ParsedMerge | MergeError) -> bool:
    return not (isinstance(result, ParsedMerge) and result.clean)


def _explained(at: Place, differ: Collection[Pair], found: MatrixResult) -> dict[str, str]:
    """Why merging two heads as they are does not say the same as merging them once they stand on main."""
    why: Counter[str] = Counter()
    behind = {number for number, branch in enumerate(at.made.branches) if branch.behind}
    clashes = {(clash.low, clash.high) for clash in found.conflicts}
    for pair in differ:
        if any(not found.base_merges[key].clean for key in pair):
            why["one conflicts with main and has to be mended first"] += 1
        elif not behind.intersection(pair):
            why["unexplained"] += 1
        elif pair in clashes:
            why["they only conflict with what main has got since"] += 1
        else:
            why["they conflicted where main has gone on since"] += 1
    return {"because": "; ".join(f"{count}: {reason}" for reason, count in why.most_common())} if why else {}


async def push(at: Place, full: float) -> Figure:
    """One push, of a head never seen before, against all others, which are known."""
    matrix = Matrix()
    await matrix.compare(at.mirror, at.made.main, at.heads)
    took = []
    for head in at.pushed:
        key = len(at.heads)
        begun = perf_counter()
        await matrix.compare(at.mirror, at.made.main, {**at.heads, key: head}, keys=[key])
        took.append(perf_counter() - begun)
    how = {
        "push_ms": round(median(took) * 1000, 1),
        "worst_ms": round(max(took) * 1000, 1),
        "matrix_ms": round(full * 1000),
        "pushes": len(took),
    }
    return Figure("push_vs_matrix", median(took) / full, "times", 0.05, how=how)


def memory(at: Place, folder: Path) -> Figure:
    """Our own process while it compares all pairs, in a fresh one: its peak above what it had before."""
    told = {"data": str(folder / "data"), "base": at.made.main, "heads": at.heads}
    measured = subprocess.run(
        [sys.executable, "-m", "tests.bench.conflicts", "--measure-memory"],
        cwd=ROOT,
        input=json.dumps(told),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    idle, peak = json.loads(measured.stdout)
    how = {"idle_mb": round(idle, 1), "peak_mb": round(peak, 1), "branches": len(at.heads)}
    return Figure("memory_mb_above_idle", peak - idle, "MB", 30, how=how)


def measure_memory() -> list[float]:
    """In a process of its own: memory before and at most, in MB."""
    told = json.load(sys.stdin)
    mirror = Mirror(Path(told["data"]), 1, "https://github.com/acme/shop.git")
    heads = {int(key): head for key, head in told["heads"].items()}

    def megabytes(name: str) -> float:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024

    def begin() -> None:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak is counted from here

    async def compare() -> list[float]:
        first = dict(list(heads.items())[:2])
        await Matrix().compare(mirror, told["base"], first)  # so that what is imported and opened once counts as idle
        begin()
        idle = megabytes("VmRSS")
        matrix = Matrix()
        await matrix.compare(mirror, told["base"], heads)
        return [idle, megabytes("VmHWM")]

    return asyncio.run(compare())


async def figures(*, tiny: bool) -> AsyncIterator[Figure]:
    """All of them."""
    files, commits, few, many = (60, 90, 12, 24) if tiny else (2_000, 3_000, 200, 1_000)
    with tempfile.TemporaryDirectory(prefix="orchestrator-bench-") as name:
        folder = Path(name)
        async with place(folder / "few", files, commits, few, 2 if tiny else PUSHES) as at:
            full, found = await matrix_seconds(at, 1 if tiny else TRIES)
            yield await check(at, folder, 4 if tiny else 30)
            for figure in await pairs(at, full, found):
                yield figure
            yield await push(at, full)
            for figure in await forecasts(at.made.path, 10 if tiny else REPLAYED):
                yield figure
        async with place(folder / "many", files, commits, many, 0) as at:
            all_of_many, found = await matrix_seconds(at, 1 if tiny else 3)
            how = {
                "matrix_ms": round(all_of_many * 1000),
                "clashes": len(found.conflicts),
                "shared": len(found.mergeable),
            }
            yield Figure("pairs1000_vs_pairs200", all_of_many / full, "times", None, how=how)
            yield memory(at, folder / "many")


async def _print(*, tiny: bool) -> bool:
    missed = False
    async for figure in figures(tiny=tiny):
        print(figure.line(), flush=True)
        missed |= figure.must is not None and figure.value > figure.must
    return missed


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; the exit status is 1 only if something that must hold does not."""
    parser = argparse.ArgumentParser(prog="make bench-conflicts ARGS=")
    parser.add_argument("--tiny", action="store_true", help="so small that the figures mean nothing: to try it out")
    parser.add_argument("--measure-memory", action="store_true", help=argparse.SUPPRESS)
    told = parser.parse_args(arguments)
    if told.measure_memory:
        print(json.dumps(measure_memory()))
        return 0
    return int(asyncio.run(_print(tiny=told.tiny)))


if __name__ == "__main__":
    sys.exit(main())
