"""What strangers push is bounded: in paths, in bytes of output, on the disk."""

from __future__ import annotations

import os
import random
import stat
import subprocess
import threading
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from adapters.git import branches, disk_usage
from adapters.git.disk_usage import MEGABYTE, DiskLimitError, DiskUsage
from adapters.git.maintenance import directory_size
from adapters.git.matrix import Matrix
from adapters.git.mirror import Mirror
from adapters.git.process import Git, GitError, GitLimitError, parse_output
from tests.adapters.git_repositories import Files, WorkTree, mirror_of
from tests.adapters.test_git_process import gone, script

LOCAL = Git(allow_file_protocol=True)
TOO_MANY = "it differs from its base in more than 10,000 paths"


def git_bomb(work: WorkTree, name: str, removed: str = "", *, width: int = 10, depth: int = 7) -> str:
    """A commit on main with `width ** depth` files in a few kilobytes; `removed` is a file it lacks."""

    def make_tree(lines: str) -> str:
        return work.git("mktree", stdin=lines.encode()).stdout.decode().strip()

    blob = work.git("hash-object", "-w", "--stdin", stdin=b"boom\n").stdout.decode().strip()
    tree = make_tree("".join(f"100644 blob {blob}\tf{number}\n" for number in range(width)))
    for _ in range(depth - 1):
        tree = make_tree("".join(f"040000 tree {tree}\td{number}\n" for number in range(width)))
    entries = work.git("ls-tree", "main").stdout.decode().splitlines()
    kept = "".join(f"{entry}\n" for entry in entries if not entry.endswith(f"\t{removed}"))
    top = make_tree(f"{kept}040000 tree {tree}\tbomb\n")
    commit = work.git("commit-tree", top, "-p", "main", "-m", "boom").stdout.decode().strip()
    work.git("update-ref", f"refs/heads/{name}", commit)
    return commit


@pytest.fixture
def work(tmp_path: Path) -> WorkTree:
    work = WorkTree(tmp_path / "work")
    work.commit({b"a": b"1\n2\n3\n", b"b": b"1\n"})
    for number, text in enumerate((b"one\n2\n3\n", b"uno\n2\n3\n")):
        work.branch(f"side-{number}")
        work.commit({b"a": text})
    return work


@pytest.mark.parametrize("removed", ["", "b"])  # what is removed may have been renamed: git looks everywhere for it
async def test_a_commit_of_millions_of_paths_gets_no_verdict_and_spoils_none(
    work: WorkTree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, removed: str
) -> None:
    monkeypatch.setattr(branches, "_MAX_DIFF_MEMORY_BYTES", 32 * 1024 * 1024)
    heads = {1: work.sha("side-0"), 2: git_bomb(work, "bomb", removed), 3: work.sha("side-1")}
    mirror = await mirror_of(work, tmp_path, "main", "side-0", "side-1", "bomb")
    matrix = Matrix()
    result = await matrix.compare(mirror, work.sha("main"), heads)
    assert [merge.clean for merge in result.base_merges.values()] == [True, None, True]
    assert result.base_merges[2].problem == TOO_MANY
    assert [(pair.low, pair.high) for pair in result.conflicts] == [(1, 3)]
    assert set(result.undecided.values()) == {TOO_MANY}
    mirror.git = Git(executable="/nowhere/git")
    assert await matrix.compare(mirror, work.sha("main"), heads) == result, "it is not tried again"


async def test_the_limit_of_paths_is_exact_and_large_heads_are_found_among_others(
    work: WorkTree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(branches, "MAX_CHANGED_PATHS", 20)
    monkeypatch.setattr(branches, "_MAX_DIFF_BYTES", 4_000)
    heads: dict[int, str] = {}
    for number, count in enumerate((20, 21, 1, 60, 5)):
        work.branch(f"b{number}")
        files: Files = {b"file-%d-%d" % (number, index): b"x" for index in range(count)}
        heads[number] = work.commit(files)
    mirror = await mirror_of(work, tmp_path, "main", *(f"b{number}" for number in heads))
    result = await Matrix().compare(mirror, work.sha("main"), heads)
    assert [merge.clean for merge in result.base_merges.values()] == [True, None, True, None, True]


async def test_a_command_that_prints_too_much_is_killed(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    git = Git(executable=script(tmp_path, f"echo $$ > {pids}; yes; sleep 600"))
    with pytest.raises(GitLimitError, match="stopped at its limit of 100,000 bytes of output") as caught:
        await git.run("diff-tree", max_bytes=100_000)
    assert len(caught.value.output) == 100_000
    await gone(int(pids.read_text()))


async def test_what_git_says_of_an_error_is_bounded(tmp_path: Path) -> None:
    git = Git(executable=script(tmp_path, "yes warning | head -c 3000000 >&2; echo 'fatal: no' >&2; exit 128"))
    with pytest.raises(GitError, match="fatal: no$") as caught:
        await git.run("fetch")
    assert len(str(caught.value)) < 3_000


async def test_large_output_is_parsed_beside_the_event_loop() -> None:
    async def parsed_in_main_thread(size: int) -> bool:
        return await parse_output(lambda _: threading.current_thread() is threading.main_thread(), b"x" * size)

    assert await parsed_in_main_thread(1_000)
    assert not await parsed_in_main_thread(1_000_000)


async def test_the_files_of_a_mirror_are_for_no_other_user(work: WorkTree, tmp_path: Path) -> None:
    old_mask = os.umask(0o022)
    try:
        mirror = await mirror_of(work, tmp_path, "main", "side-0")
        await mirror.git.run("gc", "--quiet", git_dir=mirror.path)
        await mirror.prune_refs(["refs/heads/main"])
    finally:
        os.umask(old_mask)
    found = [tmp_path / "data", *(tmp_path / "data").rglob("*")]
    assert len(found) > 10
    assert [str(path) for path in found if stat.S_IMODE(path.stat().st_mode) & 0o077] == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_git_follows_no_redirect(tmp_path: Path, status: int) -> None:
    """Neither with the token nor without: the other server could be one of the inner network."""
    asked: list[tuple[int | None, str]] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append((request.url.port, request.path))
        return web.Response(status=status, headers={"Location": f"http://localhost:{other.port}{request.path_qs}"})

    def serve() -> TestServer:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", answer)
        return TestServer(application)

    async with serve() as other, serve() as server:
        mirror = Mirror(tmp_path / "data", 1, f"http://127.0.0.1:{server.port}/x.git", Git())
        with pytest.raises(GitError):
            await mirror.fetch(["refs/heads/main"], "ghs_THE-TOKEN")
        assert {port for port, _ in asked} == {server.port}


def test_the_bomb_is_one(work: WorkTree) -> None:
    git_bomb(work, "small", width=3, depth=3)
    listed = subprocess.run(["git", "ls-tree", "-r", "small"], cwd=work.folder, capture_output=True, check=True)
    assert listed.stdout.count(b"\n") == 27 + 2


def small_mirror(work: WorkTree, tmp_path: Path, disk: DiskUsage, number: int = 1, git: Git | None = None) -> Mirror:
    return Mirror(tmp_path / "data", number, f"file://{work.folder}", git or LOCAL, disk=disk)


def large_commit(work: WorkTree, name: str, megabytes: int = 2) -> str:
    work.branch(name)
    return work.commit({b"large": random.Random(name).randbytes(megabytes * MEGABYTE)})


async def test_a_branch_that_is_too_large_for_the_disk_is_refused_with_the_reason(
    work: WorkTree, tmp_path: Path
) -> None:
    large_commit(work, "large")
    mirror = small_mirror(work, tmp_path, DiskUsage(mirror_limit_mb=1))
    await mirror.fetch(["refs/heads/main"])
    for refs in (["refs/heads/main", "refs/heads/large"], ["refs/heads/large"]):
        with pytest.raises(DiskLimitError, match=r"larger than MIRROR_LIMIT_MB \(1 MB\)"):
            await mirror.fetch(refs)
        assert directory_size(mirror.path) < MEGABYTE, "what it left is removed"
    mirror.git = Git(executable="/nowhere/git")
    with pytest.raises(DiskLimitError, match="MIRROR_LIMIT_MB"):
        await mirror.fetch(["refs/heads/large"])  # not tried again
    mirror.git = LOCAL
    assert await mirror.fetch(["refs/heads/main"]) == {"refs/heads/main": work.sha("main")}, "others are fetched"


async def test_a_fetch_that_grows_without_end_is_stopped(
    work: WorkTree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_usage, "CHECK_SECONDS", 0.01)
    pids = tmp_path / "pids"
    grow = f"echo $$ > {pids}; yes > objects/pack/tmp_pack_x"
    git = Git(executable=script(tmp_path, f'case "$1" in fetch) {grow};; *) exec git "$@";; esac'))
    mirror = small_mirror(work, tmp_path, DiskUsage(mirror_limit_mb=1), git=git)
    with pytest.raises(DiskLimitError):
        await mirror.fetch(["refs/heads/main"])
    await gone(int(pids.read_text()))
    assert directory_size(tmp_path / "data") < MEGABYTE


async def test_the_least_recently_used_mirrors_make_room_unless_they_are_in_use(work: WorkTree, tmp_path: Path) -> None:
    large_commit(work, "large", 1)
    disk = DiskUsage(total_limit_mb=3)
    mirrors = [small_mirror(work, tmp_path, disk, number) for number in range(4)]
    for age, mirror in enumerate(mirrors[:2]):
        await mirror.fetch(["refs/heads/main", "refs/heads/large"])
        os.utime(mirror.path, (age, age))
    async with mirrors[0].read_lock():
        await mirrors[2].fetch(["refs/heads/large"])
    assert [mirror.path.exists() for mirror in mirrors[:3]] == [True, False, True]
    async with mirrors[0].read_lock(), mirrors[2].read_lock():
        with pytest.raises(DiskLimitError, match=r"larger than MIRRORS_LIMIT_MB \(3 MB\)"):
            await mirrors[3].fetch(["refs/heads/large"])
    assert [mirror.path.exists() for mirror in mirrors] == [True, False, True, False]
