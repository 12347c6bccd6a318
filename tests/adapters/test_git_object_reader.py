"""Processes that look up objects live on between requests, are never out of step, and never left behind."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adapters.git.errors import GitError, GitTimeoutError
from adapters.git.mirror import Mirror
from adapters.git.object_reader import PRUNED, ObjectInfo, ObjectReader
from adapters.git.process import Git
from tests.adapters.git_repositories import WorkTree
from tests.adapters.test_git_process import alive, gone, script

HUGE = b"0123456789abcdef" * (1 << 18)  # far more than pipes and buffers hold


@pytest.fixture
def work(tmp_path: Path) -> WorkTree:
    work = WorkTree(tmp_path / "work")
    work.commit({b"a": b"one\n", b"d/b\nc": b"two\n", b"huge": HUGE})
    return work


@pytest.fixture
async def git() -> AsyncIterator[Git]:
    git = Git(max_readers=2, allow_file_protocol=True)
    yield git
    await git.close()


def place(work: WorkTree) -> Path:
    return work.folder / ".git"


async def info(git: Git, work: WorkTree) -> ObjectInfo | None:
    [found] = await git.objects.info(place(work), [b"HEAD"])
    return found


def killed(pid: int) -> None:
    os.killpg(pid, signal.SIGKILL)


async def test_many_requests_are_one_process(git: Git, work: WorkTree) -> None:
    head = work.sha("HEAD")
    names = [b"HEAD", b"HEAD:a", b"HEAD:d/b\nc", b"HEAD:none", b"HEAD:a\nb", b"0" * 40, b"HEAD^{tree}"]

    found = await git.objects.info(place(work), names)
    [pid] = git.objects.pids()
    contents = await git.objects.contents(place(work), names[1:5])

    assert found[0] == ObjectInfo(head, "commit", found[0].size if found[0] else 0)
    assert [None if one is None else (one.kind, one.size) for one in found[1:6]] == [
        ("blob", 4), ("blob", 4), None, None, None,
    ]  # fmt: skip
    assert found[6] is not None
    assert found[6].kind == "tree"
    assert contents == [b"one\n", b"two\n", None, None]
    assert await git.objects.info(place(work), []) == []
    assert git.objects.pids() == [pid]


async def test_new_commits_and_refs_are_seen(git: Git, work: WorkTree) -> None:
    before = await info(git, work)
    [pid] = git.objects.pids()
    sha = work.commit({b"a": b"three\n"})
    work.git("gc", "-q")

    after = await info(git, work)

    assert before is not None
    assert after is not None
    assert (after.name, git.objects.pids()) == (sha, [pid])
    assert await git.objects.contents(place(work), [b"HEAD:a"]) == [b"three\n"]


async def test_a_huge_object_comes_whole(git: Git, work: WorkTree) -> None:
    assert await git.objects.contents(place(work), [b"HEAD:huge", b"HEAD:a"]) == [HUGE, b"one\n"]


async def test_callers_at_the_same_time_each_get_their_own_answer(git: Git, work: WorkTree) -> None:
    names = [b"HEAD:a", b"HEAD:none", b"HEAD:huge", b"HEAD:d/b\nc"] * 5

    found = await asyncio.gather(*(git.objects.contents(place(work), [name]) for name in names))

    assert found == [[b"one\n"], [None], [HUGE], [b"two\n"]] * 5
    assert len(git.objects.pids()) == 1


async def test_a_process_that_was_killed_is_started_again(git: Git, work: WorkTree) -> None:
    first = await info(git, work)
    [pid] = git.objects.pids()
    killed(pid)

    assert await info(git, work) == first
    assert git.objects.pids() != [pid]
    await gone(pid)


async def test_one_that_dies_again_and_again_is_an_error(tmp_path: Path, work: WorkTree) -> None:
    starts = tmp_path / "starts"
    dying = script(tmp_path, f'echo x >> {starts}; echo "fatal: no such luck" >&2; exit 3')
    git = Git(max_readers=1, executable=dying)

    with pytest.raises(GitError, match="cat-file failed with status 3: fatal: no such luck"):
        await info(git, work)

    assert git.objects.pids() == []
    assert starts.read_text() == "x\n"


@pytest.mark.parametrize("answer", ["surprise", "HEAD is ambiguous, or so"])
async def test_an_answer_that_makes_no_sense_is_tried_once_more_and_then_an_error(
    tmp_path: Path, work: WorkTree, answer: str
) -> None:
    starts = tmp_path / "starts"
    sha = "a" * 40
    odd = script(
        tmp_path, f"echo x >> {starts}; head -c 15 >/dev/null; echo {sha} blob 1; cat >/dev/null & echo {answer}; wait"
    )
    git = Git(max_readers=1, executable=odd)

    assert await info(git, work) == ObjectInfo(sha, "blob", 1)
    killed_one = git.objects.pids()
    with pytest.raises(GitError, match="is not understood"):
        await git.objects.info(place(work), [b"HEAD", b"HEAD"])

    assert starts.read_text() == "x\nx\n"
    assert git.objects.pids() == []
    await gone(killed_one[0])


async def test_a_cancelled_caller_leaves_the_next_one_the_right_answer(work: WorkTree, git: Git) -> None:
    reader = ObjectReader(git, place(work))
    begun = asyncio.Event()

    async def read_a_little(answer: asyncio.StreamReader) -> None:
        await answer.readexactly(1)
        begun.set()
        await asyncio.Event().wait()

    # The answer is under way, and most of it is not read.
    asking = asyncio.create_task(reader.process.send(b"contents HEAD:huge\0flush\0", read_a_little))
    await begun.wait()
    pid = reader.pid
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking

    assert pid is not None
    await gone(pid)
    assert await reader.contents([b"HEAD:a"]) == [b"one\n"]
    await reader.close()


async def test_a_cancelled_waiting_caller_does_not_affect_others(work: WorkTree, git: Git) -> None:
    one, two, three = (
        asyncio.create_task(git.objects.contents(place(work), [name])) for name in (b"HEAD:huge", b"HEAD:a", b"HEAD:a")
    )
    await asyncio.sleep(0)
    two.cancel()

    assert await one == [HUGE]
    assert await three == [b"one\n"]
    assert two.cancelled()


async def test_an_answer_that_takes_too_long_kills_the_process(tmp_path: Path, work: WorkTree) -> None:
    pids = tmp_path / "pids"
    git = Git(max_readers=1, timeout=0.2, executable=script(tmp_path, f"sleep 600 & echo $! $$ > {pids}; wait"))

    with pytest.raises(GitTimeoutError, match=r"killed after 0\.2 s"):
        await info(git, work)

    assert git.objects.pids() == []
    for pid in pids.read_text().split():
        await gone(int(pid))


async def test_a_mirror_that_is_made_again_is_read_by_a_new_process(tmp_path: Path, git: Git, work: WorkTree) -> None:
    mirror = Mirror(tmp_path / "data", 1, f"file://{work.folder}", git)
    await mirror.fetch(["refs/heads/main"])
    old = work.sha("main")
    assert await mirror.get_commit("refs/heads/main") == old
    shutil.rmtree(mirror.path)

    assert await mirror.get_commit("refs/heads/main") is None
    with pytest.raises(GitError):
        await git.objects.info(mirror.path, [old.encode()])
    work.git("checkout", "-q", "--orphan", "another")
    work.git("commit", "-q", "-m", "another beginning")
    work.git("branch", "-f", "main", "another")
    await mirror.fetch(["refs/heads/main"])

    assert await mirror.get_commit("refs/heads/main") == work.sha("main") != old
    assert await git.objects.info(mirror.path, [old.encode()]) == [None]


async def test_after_objects_were_thrown_away_a_new_process_reads(git: Git, work: WorkTree) -> None:
    await info(git, work)
    [pid] = git.objects.pids()
    (place(work) / PRUNED).touch()

    assert await info(git, work) is not None
    await gone(pid)


async def test_only_so_many_live_on_the_least_used_go_first(tmp_path: Path, git: Git, work: WorkTree) -> None:
    others = [WorkTree(tmp_path / name) for name in ("b", "c")]
    for other in others:
        other.commit({b"a": other.folder.name.encode()})
    await info(git, work)
    [first] = git.objects.pids()

    for other in others:
        assert await git.objects.contents(place(other), [b"HEAD:a"]) == [other.folder.name.encode()]

    assert len(git.objects.pids()) == 2
    assert first not in git.objects.pids()
    await gone(first)


async def test_an_idle_reader_ends(work: WorkTree) -> None:
    git = Git(max_readers=1, idle_seconds=0)
    await info(git, work)
    [pid] = git.objects.pids()

    await gone(pid)

    assert git.objects.pids() == []
    assert await info(git, work) is not None
    await git.close()


async def test_closing_ends_the_processes_and_later_requests_end_their_own(git: Git, work: WorkTree) -> None:
    await info(git, work)
    [pid] = git.objects.pids()
    under_way = asyncio.create_task(git.objects.contents(place(work), [b"HEAD:huge"]))
    await asyncio.sleep(0)

    await git.close()

    assert await under_way == [HUGE]
    assert not alive(pid)
    assert git.objects.pids() == []
    assert await info(git, work) is not None
    assert git.objects.pids() == []


async def test_without_an_owner_nothing_lives_on(work: WorkTree) -> None:
    git = Git()
    assert await info(git, work) is not None
    assert git.objects.pids() == []
