"""A mirror: only the requested refs, no token left behind, cloned again if broken."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import random
import shutil
from base64 import b64encode
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from adapters.git.merge import MergeError
from adapters.git.mirror import Mirror, local_ref_name
from adapters.git.process import Git, GitError
from adapters.git.scratch import scratch_objects
from tests.adapters.git_repositories import WorkTree, merge_tree

LOCAL = Git(allow_file_protocol=True)
TOKEN = "ghs_a-token-that-is-secret"


@pytest.fixture
def work(tmp_path: Path) -> WorkTree:
    work = WorkTree(tmp_path / "work")
    work.commit({b"a": b"1\n"})
    work.branch("task/12-1")
    work.commit({b"b": b"1\n"})
    work.git("update-ref", "refs/pull/7/head", "task/12-1")
    work.branch("other")
    work.commit({b"c": b"1\n"})
    return work


def mirror_of(work: WorkTree, tmp_path: Path, git: Git = LOCAL) -> Mirror:
    return Mirror(tmp_path / "data", 99, f"file://{work.folder}", git)


async def refs_in(mirror: Mirror) -> set[str]:
    listed = await mirror.git.run("for-each-ref", "--format=%(refname)", git_dir=mirror.path)
    return set(listed.stdout.decode().split())


async def test_only_the_refs_asked_for_are_fetched(work: WorkTree, tmp_path: Path) -> None:
    mirror = mirror_of(work, tmp_path)

    commits = await mirror.fetch(["refs/heads/main", "refs/heads/task/12-1", "refs/pull/7/head"])

    assert commits == {
        "refs/heads/main": work.sha("main"),
        "refs/heads/task/12-1": work.sha("task/12-1"),
        "refs/pull/7/head": work.sha("task/12-1"),
    }
    assert await refs_in(mirror) == {local_ref_name(ref) for ref in commits}
    assert mirror.path == tmp_path / "data" / "mirrors" / "99.git"
    with pytest.raises(MergeError):
        await merge_tree(mirror, work.sha("main"), work.sha("other"))


async def test_a_forced_push_and_a_deleted_branch_are_followed(work: WorkTree, tmp_path: Path) -> None:
    mirror = mirror_of(work, tmp_path)
    await mirror.fetch(["refs/heads/main", "refs/heads/other"])
    work.branch("other", "task/12-1")
    work.branch("main", "main")

    assert (await mirror.fetch(["refs/heads/other"]))["refs/heads/other"] == work.sha("task/12-1")

    work.git("branch", "-D", "other")
    both = await mirror.fetch(["refs/heads/other", "refs/heads/main", "refs/heads/never"])
    assert both == {
        "refs/heads/other": None,
        "refs/heads/main": work.sha("main"),
        "refs/heads/never": None,
    }
    assert await mirror.get_commit("refs/heads/other") is None
    assert await mirror.get_commit("refs/heads/main") == work.sha("main")


async def test_a_branch_may_become_a_folder_of_branches(work: WorkTree, tmp_path: Path) -> None:
    mirror = mirror_of(work, tmp_path)
    work.git("branch", "feature", "main")
    await mirror.fetch(["refs/heads/feature"])
    work.git("branch", "-D", "feature")
    work.git("branch", "feature/one", "main")

    assert await mirror.fetch(["refs/heads/feature/one"]) == {"refs/heads/feature/one": work.sha("main")}


@pytest.mark.parametrize(
    "ref",
    [
        "main",
        "--upload-pack=touch /tmp/evil",
        "refs/heads/",
        "refs/heads/a..b",
        "refs/heads/a b",
        "refs/heads/*",
        "refs/heads/a:refs/heads/b",
        "refs/heads/a\nrefs/heads/b",
        "refs/heads/../../x",
        "refs/heads/.hidden",
        "refs/heads/a.lock",
        "refs/heads/a@{1}",
        "HEAD",
    ],
)
async def test_what_is_no_ref_is_refused(work: WorkTree, tmp_path: Path, ref: str) -> None:
    with pytest.raises(ValueError, match="not a full ref name"):
        await mirror_of(work, tmp_path).fetch([ref])


async def test_the_file_protocol_is_off_unless_a_test_asks(work: WorkTree, tmp_path: Path) -> None:
    with pytest.raises(GitError, match="transport 'file' not allowed"):
        await mirror_of(work, tmp_path, Git()).fetch(["refs/heads/main"])


def test_an_address_with_credentials_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="credentials"):
        Mirror(tmp_path, 1, "https://x-access-token:secret@github.com/acme/shop.git")


def break_config(mirror: Mirror) -> None:
    (mirror.path / "config").write_text("[core\nnonsense")


def break_everything(mirror: Mirror) -> None:
    shutil.rmtree(mirror.path / "objects")
    (mirror.path / "HEAD").unlink()


def break_refs(mirror: Mirror) -> None:
    (mirror.path / "packed-refs").write_bytes(b"\x00\xff garbage\n")


def leave_a_lock(mirror: Mirror) -> None:
    """A git that was killed in the middle leaves its lock files."""
    (mirror.path / f"{local_ref_name('refs/heads/main')}.lock").touch()


@pytest.mark.parametrize("harm", [break_config, break_everything, break_refs, leave_a_lock])
async def test_a_broken_mirror_is_cloned_again(work: WorkTree, tmp_path: Path, harm: object) -> None:
    mirror = mirror_of(work, tmp_path)
    await mirror.fetch(["refs/heads/main"])
    work.branch("main", "task/12-1")
    assert callable(harm)
    harm(mirror)

    assert await mirror.fetch(["refs/heads/main"]) == {"refs/heads/main": work.sha("task/12-1")}
    assert sorted(path.name for path in mirror.path.parent.iterdir()) == ["99.git", "99.lock", "99.readers"]


async def test_lost_objects_show_in_a_merge_and_heal_with_the_next_fetch(work: WorkTree, tmp_path: Path) -> None:
    mirror = mirror_of(work, tmp_path)
    await mirror.fetch(["refs/heads/other", "refs/heads/task/12-1"])
    tree = work.sha("task/12-1^{tree}")
    (mirror.path / "objects" / tree[:2] / tree[2:]).unlink()

    with pytest.raises(MergeError, match="the mirror is damaged"):
        await merge_tree(mirror, "refs/heads/other", "refs/heads/task/12-1")
    await mirror.fetch(["refs/heads/other", "refs/heads/task/12-1"])

    assert (await merge_tree(mirror, "refs/heads/other", "refs/heads/task/12-1")).clean


async def test_a_server_that_cannot_be_reached_costs_no_mirror(work: WorkTree, tmp_path: Path) -> None:
    mirror = mirror_of(work, tmp_path)
    await mirror.fetch(["refs/heads/main"])
    before = work.sha("main")
    work.folder.rename(tmp_path / "away")

    with pytest.raises(GitError):
        await mirror.fetch(["refs/heads/main"])

    assert await mirror.get_commit("refs/heads/main") == before


async def test_fetches_wait_for_each_other_and_for_other_processes(work: WorkTree, tmp_path: Path) -> None:
    one, two = mirror_of(work, tmp_path), mirror_of(work, tmp_path)
    results = await asyncio.gather(*(mirror.fetch(["refs/heads/main"]) for mirror in (one, two, one)))
    assert results == [{"refs/heads/main": work.sha("main")}] * 3

    impatient = Mirror(tmp_path / "data", 99, f"file://{work.folder}", LOCAL, lock_timeout=0.01)
    held = os.open(tmp_path / "data" / "mirrors" / "99.lock", os.O_RDWR)
    fcntl.flock(held, fcntl.LOCK_EX)
    try:
        with pytest.raises(TimeoutError):
            await impatient.fetch(["refs/heads/main"])
    finally:
        os.close(held)
    assert await impatient.fetch(["refs/heads/main"]) == {"refs/heads/main": work.sha("main")}


def counting(tmp_path: Path) -> tuple[Git, Path]:
    """A git that notes each command it is started for."""
    notes, spy = tmp_path / "commands", tmp_path / "counting-git"
    spy.write_text(f'#!/bin/sh\necho "$1" >> {notes}\nexec git "$@"\n')
    spy.chmod(0o755)
    return Git(executable=str(spy), allow_file_protocol=True), notes


async def test_many_refs_are_fetched_and_looked_up_by_few_processes(work: WorkTree, tmp_path: Path) -> None:
    git, notes = counting(tmp_path)
    names = [f"refs/heads/many/{number}" for number in range(60)]
    work.git("update-ref", "--stdin", stdin="".join(f"create {name} {work.sha('main')}\n" for name in names).encode())
    mirror = mirror_of(work, tmp_path, git)
    assert await mirror.resolve_refs(names) == dict.fromkeys(names)
    await mirror.fetch(["refs/heads/main", *names])
    notes.unlink()

    fetched = await mirror.fetch([*names, "refs/heads/main"])
    assert notes.read_text().split() == ["fetch", "cat-file"]
    notes.unlink()
    here = await mirror.resolve_refs([*names, "refs/heads/other"])

    assert notes.read_text().split() == ["cat-file"]
    assert fetched == dict.fromkeys([*names, "refs/heads/main"], work.sha("main"))
    assert here == {**dict.fromkeys(names, work.sha("main")), "refs/heads/other": None}


async def test_what_is_no_longer_wanted_is_dropped_and_thrown_away_when_there_is_much_of_it(
    work: WorkTree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.git.maintenance._MAX_GROWTH_BYTES", 200_000)
    mirror = mirror_of(work, tmp_path)
    await mirror.fetch(["refs/heads/main", "refs/heads/other"])
    work.branch("big")
    big = work.commit({b"big": random.Random(1).randbytes(500_000)})
    await mirror.fetch(["refs/heads/big"])

    async with mirror.read_lock():
        monkeypatch.setattr("adapters.git.mirror._READERS_TIMEOUT_SECONDS", 0.01)
        await mirror.prune_refs(["refs/heads/main", "refs/heads/other", "refs/heads/never"])
        assert await refs_in(mirror) == {local_ref_name("refs/heads/main"), local_ref_name("refs/heads/other")}
        await mirror.git.run("cat-file", "-e", big, git_dir=mirror.path)  # a reader is active: nothing is removed
    await mirror.prune_refs(["refs/heads/main", "refs/heads/other"])

    with pytest.raises(GitError):
        await mirror.git.run("cat-file", "-e", big, git_dir=mirror.path)
    assert (await merge_tree(mirror, "refs/heads/main", "refs/heads/other")).clean


async def test_many_small_fetches_do_not_leave_many_packs(
    work: WorkTree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.git.maintenance._MAX_PACKS", 2)
    git = Git(allow_file_protocol=True)
    git._config["fetch.unpackLimit"] = "1"  # a pack for every fetch, as for those of more than a hundred objects
    mirror = mirror_of(work, tmp_path, git)
    for number in range(8):
        work.commit({b"other": b"%d\n" % number})
        await mirror.fetch(["refs/heads/other"])

    assert len(list((mirror.path / "objects" / "pack").glob("*.pack"))) <= 4
    assert await mirror.get_commit("refs/heads/other") == work.sha("other")


async def test_files_of_killed_processes_are_removed_and_locked_files_are_kept(work: WorkTree, tmp_path: Path) -> None:
    mirror = mirror_of(work, tmp_path)
    await mirror.fetch(["refs/heads/main"])
    folder = mirror.path.parent
    died, young = folder / "merge-died", folder / "merge-young"
    half = mirror.path / "objects" / "pack" / "tmp_pack_half"
    half.write_bytes(b"PACK")
    for left in (died, young, folder / "99.new", folder / "99.old"):
        (left / "ab").mkdir(parents=True)
    os.utime(died, (0, 0))

    async with scratch_objects(mirror) as held:
        os.utime(held.directory, (0, 0))
        await mirror.fetch(["refs/heads/other"])
        assert held.directory.exists()

    assert {path.name for path in folder.iterdir()} == {"99.git", "99.lock", "99.readers", "merge-young"}
    assert not half.exists()


async def test_a_fetch_that_is_interrupted_keeps_what_came_and_harms_nothing(work: WorkTree, tmp_path: Path) -> None:
    """The first fetch ends in the middle: main is there already, and the next one takes the rest."""
    count, broken = tmp_path / "count", tmp_path / "broken-git"
    broken.write_text(
        f'#!/bin/sh\nif [ "$1" = fetch ]; then echo x >> {count}\n'
        f'[ "$(wc -l < {count})" -gt 1 ] && {{ touch objects/pack/tmp_pack_1; exec sleep 600; }}; fi\nexec git "$@"\n'
    )
    broken.chmod(0o755)
    mirror = mirror_of(work, tmp_path, Git(executable=str(broken), allow_file_protocol=True))
    fetching = asyncio.create_task(mirror.fetch(["refs/heads/main", "refs/heads/other"]))
    async with asyncio.timeout(120):
        while not (mirror.path / "objects" / "pack" / "tmp_pack_1").exists():
            await asyncio.sleep(0.01)
    fetching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fetching

    assert await mirror.resolve_refs(["refs/heads/main", "refs/heads/other"]) == {
        "refs/heads/main": work.sha("main"),
        "refs/heads/other": None,
    }
    mirror.git = LOCAL
    assert (await mirror.fetch(["refs/heads/other"]))["refs/heads/other"] == work.sha("other")
    assert not list((mirror.path / "objects" / "pack").glob("tmp_*"))


async def test_a_second_replica_uses_what_the_first_has_fetched(work: WorkTree, tmp_path: Path) -> None:
    one, two = mirror_of(work, tmp_path), mirror_of(work, tmp_path)
    both = ["refs/heads/main", "refs/heads/other"]

    await asyncio.gather(one.fetch(both), two.fetch(both))

    counted = await one.git.run("count-objects", "-v", git_dir=one.path)
    objects = work.git("rev-list", "--objects", "--count", "main", "other").stdout.decode().strip()
    known = dict(line.split(": ") for line in counted.stdout.decode().splitlines())
    assert int(known["count"]) + int(known["in-pack"]) == int(objects)  # nothing came twice


async def test_a_vanished_fork_and_an_empty_repository_are_plain_answers(work: WorkTree, tmp_path: Path) -> None:
    mirror = mirror_of(work, tmp_path)
    await mirror.fetch(["refs/heads/main", "refs/pull/7/head"])
    work.git("update-ref", "-d", "refs/pull/7/head")

    found = await mirror.fetch(["refs/heads/main", "refs/pull/7/head"])
    assert found == {"refs/heads/main": work.sha("main"), "refs/pull/7/head": None}

    empty = WorkTree(tmp_path / "empty")
    nothing = Mirror(tmp_path / "data", 100, f"file://{empty.folder}", LOCAL)
    assert await nothing.fetch(["refs/heads/main"]) == {"refs/heads/main": None}
    assert await nothing.resolve_refs(["refs/heads/main"]) == {"refs/heads/main": None}
    with pytest.raises(MergeError, match="not a commit that was fetched"):
        await merge_tree(nothing, "refs/heads/main", "refs/heads/other")


def command_lines() -> list[str]:
    """What the list of processes shows of each of them."""
    lines: list[str] = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            lines.append(place.read_text(errors="replace"))
    assert any("remote-http" in line for line in lines) or not lines
    return lines


def git_over_http(work: WorkTree, seen: list[str | None]) -> web.Application:
    """Smart HTTP as far as a fetch needs it, for those who show the right token."""
    wanted = "Basic " + b64encode(f"x-access-token:{TOKEN}".encode()).decode()

    async def upload_pack(request: web.Request, *more: str, stdin: bytes = b"") -> bytes:
        process = await asyncio.create_subprocess_exec(
            "git",
            "upload-pack",
            "--stateless-rpc",
            *more,
            str(work.folder),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={"PATH": os.environ["PATH"], "GIT_PROTOCOL": request.headers.get("Git-Protocol", "")},
        )
        return (await process.communicate(stdin))[0]

    def check(request: web.Request) -> None:
        seen.append(request.headers.get("Authorization"))
        # This request is made by a process that runs right now: what would `ps` show?
        for secret in (TOKEN, b64encode(f"x-access-token:{TOKEN}".encode()).decode()):
            assert not any(secret in line for line in command_lines())
        if seen[-1] != wanted:
            raise web.HTTPUnauthorized(headers={"WWW-Authenticate": 'Basic realm="git"'})

    async def advertise(request: web.Request) -> web.Response:
        check(request)
        body = b"001e# service=git-upload-pack\n0000" + await upload_pack(request, "--advertise-refs")
        return web.Response(body=body, content_type="application/x-git-upload-pack-advertisement")

    async def pack(request: web.Request) -> web.Response:
        check(request)
        body = await upload_pack(request, stdin=await request.read())
        return web.Response(body=body, content_type="application/x-git-upload-pack-result")

    app = web.Application()
    app.router.add_get("/acme/shop.git/info/refs", advertise)
    app.router.add_post("/acme/shop.git/git-upload-pack", pack)
    return app


async def test_the_token_reaches_the_server_and_neither_disk_nor_arguments_nor_errors(
    work: WorkTree, tmp_path: Path
) -> None:
    seen: list[str | None] = []
    arguments = tmp_path / "arguments"
    spy = tmp_path / "spy"
    spy.write_text(f'#!/bin/sh\necho "$@" >> {arguments}\nexec git "$@"\n')
    spy.chmod(0o755)
    async with TestServer(git_over_http(work, seen)) as server:
        mirror = Mirror(tmp_path / "data", 5, str(server.make_url("/acme/shop.git")), Git(executable=str(spy)))
        commits = await mirror.fetch(["refs/heads/main", "refs/heads/gone"], TOKEN)
        with pytest.raises(GitError) as caught:
            await mirror.fetch(["refs/heads/main"], "ghs_wrong-and-secret")

    assert commits == {"refs/heads/main": work.sha("main"), "refs/heads/gone": None}
    assert "wrong-and-secret" not in str(caught.value)
    secrets = [TOKEN.encode(), b64encode(f"x-access-token:{TOKEN}".encode())]
    assert not any(secret in arguments.read_bytes() for secret in secrets)
    for path in (tmp_path / "data").rglob("*"):
        assert not (path.is_file() and any(secret in path.read_bytes() for secret in secrets)), path
