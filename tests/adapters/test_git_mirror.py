"""A mirror: only what was asked for, no token left behind, made anew when broken."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
from base64 import b64encode
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from git_repositories import Work

from adapters.git.merge import MergeError, merge_tree
from adapters.git.mirror import Mirror, local_ref
from adapters.git.runner import Git, GitError

LOCAL = Git(allow_file_protocol=True)
TOKEN = "ghs_a-token-nobody-may-see"


@pytest.fixture
def work(tmp_path: Path) -> Work:
    work = Work(tmp_path / "work")
    work.commit({b"a": b"1\n"})
    work.branch("task/12-1")
    work.commit({b"b": b"1\n"})
    work.git("update-ref", "refs/pull/7/head", "task/12-1")
    work.branch("other")
    work.commit({b"c": b"1\n"})
    return work


def mirror_of(work: Work, tmp_path: Path, git: Git = LOCAL) -> Mirror:
    return Mirror(tmp_path / "data", 99, f"file://{work.folder}", git)


async def refs_in(mirror: Mirror) -> set[str]:
    listed = await mirror.git.run("for-each-ref", "--format=%(refname)", git_dir=mirror.path)
    return set(listed.stdout.decode().split())


async def test_only_the_refs_asked_for_are_fetched(work: Work, tmp_path: Path) -> None:
    mirror = mirror_of(work, tmp_path)

    commits = await mirror.fetch(["refs/heads/main", "refs/heads/task/12-1", "refs/pull/7/head"])

    assert commits == {
        "refs/heads/main": work.sha("main"),
        "refs/heads/task/12-1": work.sha("task/12-1"),
        "refs/pull/7/head": work.sha("task/12-1"),
    }
    assert await refs_in(mirror) == {local_ref(ref) for ref in commits}
    assert mirror.path == tmp_path / "data" / "mirrors" / "99.git"
    with pytest.raises(MergeError):
        await merge_tree(mirror, work.sha("main"), work.sha("other"))


async def test_a_forced_push_and_a_deleted_branch_are_followed(work: Work, tmp_path: Path) -> None:
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
    assert await mirror.commit("refs/heads/other") is None
    assert await mirror.commit("refs/heads/main") == work.sha("main")


async def test_a_branch_may_become_a_folder_of_branches(work: Work, tmp_path: Path) -> None:
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
async def test_what_is_no_ref_is_refused(work: Work, tmp_path: Path, ref: str) -> None:
    with pytest.raises(ValueError, match="not a full ref name"):
        await mirror_of(work, tmp_path).fetch([ref])


async def test_the_file_protocol_is_off_unless_a_test_asks(work: Work, tmp_path: Path) -> None:
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
    (mirror.path / f"{local_ref('refs/heads/main')}.lock").touch()


@pytest.mark.parametrize("harm", [break_config, break_everything, break_refs, leave_a_lock])
async def test_a_broken_mirror_is_made_anew(work: Work, tmp_path: Path, harm: object) -> None:
    mirror = mirror_of(work, tmp_path)
    await mirror.fetch(["refs/heads/main"])
    work.branch("main", "task/12-1")
    assert callable(harm)
    harm(mirror)

    assert await mirror.fetch(["refs/heads/main"]) == {"refs/heads/main": work.sha("task/12-1")}
    assert sorted(path.name for path in mirror.path.parent.iterdir()) == ["99.git", "99.lock", "99.readers"]


async def test_lost_objects_show_in_a_merge_and_heal_with_the_next_fetch(work: Work, tmp_path: Path) -> None:
    mirror = mirror_of(work, tmp_path)
    await mirror.fetch(["refs/heads/other", "refs/heads/task/12-1"])
    tree = work.sha("task/12-1^{tree}")
    (mirror.path / "objects" / tree[:2] / tree[2:]).unlink()

    with pytest.raises(MergeError, match="the mirror is damaged"):
        await merge_tree(mirror, "refs/heads/other", "refs/heads/task/12-1")
    await mirror.fetch(["refs/heads/other", "refs/heads/task/12-1"])

    assert (await merge_tree(mirror, "refs/heads/other", "refs/heads/task/12-1")).clean


async def test_a_server_that_cannot_be_reached_costs_no_mirror(work: Work, tmp_path: Path) -> None:
    mirror = mirror_of(work, tmp_path)
    await mirror.fetch(["refs/heads/main"])
    before = work.sha("main")
    work.folder.rename(tmp_path / "away")

    with pytest.raises(GitError):
        await mirror.fetch(["refs/heads/main"])

    assert await mirror.commit("refs/heads/main") == before


async def test_fetches_wait_for_each_other_and_for_other_processes(work: Work, tmp_path: Path) -> None:
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


def git_over_http(work: Work, seen: list[str | None]) -> web.Application:
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
    work: Work, tmp_path: Path
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
