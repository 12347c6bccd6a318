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
from tests.bench.forecast import forecast_figures
from tests.bench.generated import ENVIRONMENT, GeneratedRepository, generate

ROOT = Path(__file__).parents[2]
PUSHES = 15
MAX_REPLAYED = 400  # merges, the latest
RUNS = 5
Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class BenchRepository:
    """A generated repository and its mirror, with everything fetched."""

    generated: GeneratedRepository
    mirror: Mirror
    heads: dict[int, str]
    pushed_heads: list[str]  # heads of further branches


@asynccontextmanager
async def open_repository(
    folder: Path, files: int, commits: int, branches: int, pushes: int
) -> AsyncIterator[BenchRepository]:
    """Make and fetch it."""
    generated = await asyncio.to_thread(generate, folder / "github", 1, files, commits, branches + pushes)
    git = Git(allow_file_protocol=True, timeout=3_600, max_readers=1)
    mirror = Mirror(folder / "data", 1, f"file://{generated.path}", git)
    await mirror.fetch(["refs/heads/main", *(f"refs/heads/{branch.name}" for branch in generated.branches)])
    heads = {number: branch.sha for number, branch in enumerate(generated.branches)}
    try:
        yield BenchRepository(generated, mirror, dict(list(heads.items())[:branches]), list(heads.values())[branches:])
    finally:
        await git.close()


async def measure_check(repository: BenchRepository, folder: Path, checks: int) -> Figure:
    """A branch against its base: as one of all that are checked after a push to main, by itself, and in a work tree."""
    work_tree = folder / "work"
    heads, base = list(repository.heads.values())[:checks], repository.generated.main

    def git(*arguments: str, cwd: Path | None = work_tree) -> float:
        begun = perf_counter()
        identity = {
            "GIT_AUTHOR_NAME": "a",
            "GIT_AUTHOR_EMAIL": "a@b",
            "GIT_COMMITTER_NAME": "a",
            "GIT_COMMITTER_EMAIL": "a@b",
        }
        subprocess.run(["git", *arguments], cwd=cwd, env={**ENVIRONMENT, **identity}, capture_output=True, check=False)
        return perf_counter() - begun

    git("clone", "-q", str(repository.generated.path), str(work_tree), cwd=None)
    git("checkout", "-q", "--detach", base)
    worktree_seconds, single_seconds, batch_seconds = [], [], []
    matrix = Matrix()
    await matrix.compare(
        repository.mirror, base, {0: base}
    )  # the base is known, as it is but once after each push to main
    for head in heads:
        # What is left of the one before is cleared away, then merged: the least that a reused work tree needs.
        worktree_seconds.append(git("reset", "-q", "--hard", base) + git("merge", "-q", "--no-commit", "--no-ff", head))
        started_at = perf_counter()
        await matrix.compare(repository.mirror, base, {0: head})
        single_seconds.append(perf_counter() - started_at)
    for _ in range(RUNS):
        started_at = perf_counter()
        await Matrix().compare(repository.mirror, base, repository.heads, keys=())
        batch_seconds.append((perf_counter() - started_at) / len(repository.heads))
    details = {
        "check_ms": round(median(batch_seconds) * 1000, 2),
        "worktree_ms": round(median(worktree_seconds) * 1000, 1),
        "what": f"one of {len(repository.heads)} checks after a push to main",
        "check_alone_ms": round(median(single_seconds) * 1000, 1),
        "alone_times": round(median(worktree_seconds) / median(single_seconds), 1),
    }
    return Figure(
        "check_vs_worktree",
        median(worktree_seconds) / median(batch_seconds),
        "times",
        50,
        details=details,
        at_least=True,
    )


async def measure_matrix(repository: BenchRepository, tries: int) -> tuple[float, MatrixResult]:
    """How long all pairs take from nothing, and what comes of it."""
    durations = []
    for _ in range(tries):
        matrix = Matrix()
        started_at = perf_counter()
        comparison = await matrix.compare(repository.mirror, repository.generated.main, repository.heads)
        durations.append(perf_counter() - started_at)
    return median(durations), comparison


async def measure_pairs(repository: BenchRepository, matrix_duration: float, comparison: MatrixResult) -> list[Figure]:
    """Against merging every pair, in one git process; and the verdicts against those of merging every pair."""
    all_pairs = list(combinations(sorted(repository.heads), 2))
    started_at = perf_counter()
    async with scratch_objects(repository.mirror) as scratch:
        head_pairs = [(repository.heads[first], repository.heads[second]) for first, second in all_pairs]
        raw_results = await run_merges(repository.mirror, head_pairs, scratch.environment)
    exhaustive_seconds = perf_counter() - started_at
    clean = {key for key, trial_merge in comparison.base_merges.items() if trial_merge.clean}
    async with scratch_objects(repository.mirror) as scratch:
        base_results = await run_merges(
            repository.mirror,
            [(repository.generated.main, repository.heads[key]) for key in clean],
            scratch.environment,
        )
        rebased_commits = {
            key: scratch.write_commit(result.tree, repository.generated.main)
            for key, result in zip(clean, base_results, strict=True)
            if isinstance(result, ParsedMerge)
        }
        comparable_pairs = [pair for pair in all_pairs if clean.issuperset(pair)]
        true_results = await run_merges(
            repository.mirror,
            [(rebased_commits[first], rebased_commits[second]) for first, second in comparable_pairs],
            scratch.environment,
        )
    conflicts = {(conflict.low, conflict.high) for conflict in comparison.conflicts}
    mismatch_count = sum(
        _has_conflict(result) is not (pair in conflicts)
        for pair, result in zip(comparable_pairs, true_results, strict=True)
    )
    details = {
        "exhaustive_ms": round(exhaustive_seconds * 1000),
        "matrix_ms": round(matrix_duration * 1000),
        "pairs": len(all_pairs),
        "clashes": len(conflicts),
        "shared": len(comparison.mergeable),
    }
    speed_figure = Figure(
        "pairs200_vs_exhaustive", exhaustive_seconds / matrix_duration, "times", 10, details=details, at_least=True
    )
    differing_pairs = {
        pair
        for pair, result in zip(all_pairs, raw_results, strict=True)
        if _has_conflict(result) is not (pair in conflicts)
    }
    comparison_details = {
        "compared": len(comparable_pairs),
        "differ_from_raw_heads": len(differing_pairs),
        **_explain_differences(repository, differing_pairs, comparison),
    }
    return [
        speed_figure,
        Figure("verdict_mismatches", mismatch_count + len(comparison.undecided), "pairs", 0, 0, comparison_details),
    ]


def _has_conflict(result: ParsedMerge | MergeError) -> bool:
    return not (isinstance(result, ParsedMerge) and result.clean)


def _explain_differences(
    repository: BenchRepository, differing_pairs: Collection[Pair], comparison: MatrixResult
) -> dict[str, str]:
    """Why merging two heads as they are does not say the same as merging them once they stand on main."""
    reasons: Counter[str] = Counter()
    behind_branches = {number for number, branch in enumerate(repository.generated.branches) if branch.is_behind}
    conflicts = {(conflict.low, conflict.high) for conflict in comparison.conflicts}
    for pair in differing_pairs:
        if any(not comparison.base_merges[key].clean for key in pair):
            reasons["one conflicts with main and has to be fixed first"] += 1
        elif not behind_branches.intersection(pair):
            reasons["unexplained"] += 1
        elif pair in conflicts:
            reasons["they only conflict with what main has got since"] += 1
        else:
            reasons["they conflicted where main has gone on since"] += 1
    return {"because": "; ".join(f"{count}: {reason}" for reason, count in reasons.most_common())} if reasons else {}


async def measure_push(repository: BenchRepository, matrix_duration: float) -> Figure:
    """One push, of a head never seen before, against all others, which are known."""
    matrix = Matrix()
    await matrix.compare(repository.mirror, repository.generated.main, repository.heads)
    durations = []
    for head in repository.pushed_heads:
        key = len(repository.heads)
        started_at = perf_counter()
        await matrix.compare(repository.mirror, repository.generated.main, {**repository.heads, key: head}, keys=[key])
        durations.append(perf_counter() - started_at)
    details = {
        "push_ms": round(median(durations) * 1000, 1),
        "worst_ms": round(max(durations) * 1000, 1),
        "matrix_ms": round(matrix_duration * 1000),
        "pushes": len(durations),
    }
    return Figure("push_vs_matrix", median(durations) / matrix_duration, "times", 0.05, details=details)


def measure_memory_peak(repository: BenchRepository, folder: Path) -> Figure:
    """Our own process while it compares all pairs, in a fresh one: its peak above what it had before."""
    request = {"data": str(folder / "data"), "base": repository.generated.main, "heads": repository.heads}
    result = subprocess.run(
        [sys.executable, "-m", "tests.bench.conflicts", "--measure-memory"],
        cwd=ROOT,
        input=json.dumps(request),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    idle, peak = json.loads(result.stdout)
    details = {"idle_mb": round(idle, 1), "peak_mb": round(peak, 1), "branches": len(repository.heads)}
    return Figure("memory_mb_above_idle", peak - idle, "MB", 30, details=details)


def measure_memory() -> list[float]:
    """In a process of its own: memory before and at most, in MB."""
    request = json.load(sys.stdin)
    mirror = Mirror(Path(request["data"]), 1, "https://github.com/acme/shop.git")
    heads = {int(key): head for key, head in request["heads"].items()}

    def megabytes(name: str) -> float:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024

    def reset_peak() -> None:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak is counted from here

    async def compare() -> list[float]:
        warm_up_heads = dict(list(heads.items())[:2])
        await Matrix().compare(
            mirror, request["base"], warm_up_heads
        )  # so that what is imported and opened once counts as idle
        reset_peak()
        idle = megabytes("VmRSS")
        matrix = Matrix()
        await matrix.compare(mirror, request["base"], heads)
        return [idle, megabytes("VmHWM")]

    return asyncio.run(compare())


async def all_figures(*, tiny: bool) -> AsyncIterator[Figure]:
    """All of them."""
    files, commits, small_count, large_count = (60, 90, 12, 24) if tiny else (2_000, 3_000, 200, 1_000)
    with tempfile.TemporaryDirectory(prefix="orchestrator-bench-") as name:
        folder = Path(name)
        async with open_repository(folder / "few", files, commits, small_count, 2 if tiny else PUSHES) as repository:
            matrix_duration, comparison = await measure_matrix(repository, 1 if tiny else RUNS)
            yield await measure_check(repository, folder, 4 if tiny else 30)
            for figure in await measure_pairs(repository, matrix_duration, comparison):
                yield figure
            yield await measure_push(repository, matrix_duration)
            for figure in await forecast_figures(repository.generated.path, 10 if tiny else MAX_REPLAYED):
                yield figure
        async with open_repository(folder / "many", files, commits, large_count, 0) as repository:
            large_matrix_duration, comparison = await measure_matrix(repository, 1 if tiny else 3)
            details = {
                "matrix_ms": round(large_matrix_duration * 1000),
                "clashes": len(comparison.conflicts),
                "shared": len(comparison.mergeable),
            }
            yield Figure(
                "pairs1000_vs_pairs200", large_matrix_duration / matrix_duration, "times", None, details=details
            )
            yield measure_memory_peak(repository, folder / "many")


async def _print(*, tiny: bool) -> bool:
    is_missed = False
    async for figure in all_figures(tiny=tiny):
        print(figure.to_json(), flush=True)
        is_missed |= figure.hard_limit is not None and figure.value > figure.hard_limit
    return is_missed


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; the exit status is 1 only if something that must hold does not."""
    parser = argparse.ArgumentParser(prog="make bench-conflicts ARGS=")
    parser.add_argument("--tiny", action="store_true", help="so small that the figures mean nothing: to try it out")
    parser.add_argument("--measure-memory", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.measure_memory:
        print(json.dumps(measure_memory()))
        return 0
    return int(asyncio.run(_print(tiny=options.tiny)))


if __name__ == "__main__":
    sys.exit(main())
