"""Files, commits, branches and git's own objects over REST."""

import base64
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sandbox import Sandbox
from tests.sandbox.sandbox_kit import api, open_sandbox

HOME = "/repos/acme/shop"


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Sandbox]:
    async with open_sandbox(tmp_path) as hub:
        shop = hub.repository("acme/shop", files={"README.md": "# Shop\n", "src/cart.py": "x = 1\n"})
        hub.grant(shop, hub.user("alice"), "write")
        yield hub


@pytest.fixture
def token(hub: Sandbox) -> str:
    return hub.create_token(hub.user("alice"))


def packed(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


async def test_files_are_read_written_and_deleted(hub: Sandbox, token: str) -> None:
    shop = hub.repository("acme/shop")
    found = await api(hub, token, "GET", f"{HOME}/contents/src/cart.py")
    assert base64.b64decode(found["content"]) == b"x = 1\n"
    assert [one["name"] for one in await api(hub, token, "GET", f"{HOME}/contents/src")] == ["cart.py"]
    assert [one["type"] for one in await api(hub, token, "GET", f"{HOME}/contents")] == ["file", "dir"]
    await api(hub, token, "GET", f"{HOME}/contents/none", status=404)
    path, change = f"{HOME}/contents/src/cart.py", {"message": "Two", "content": packed("x = 2\n")}
    await api(hub, token, "PUT", path, change, status=422)
    await api(hub, token, "PUT", path, {**change, "sha": "0" * 40}, status=409)
    written = await api(hub, token, "PUT", path, {**change, "sha": found["sha"]})
    assert written["commit"]["sha"] == shop.git.head()
    assert shop.git.read("main", "src/cart.py") == "x = 2\n"
    new = {"message": "New", "content": packed("1\n")}
    await api(hub, token, "PUT", f"{HOME}/contents/new.txt", new, status=201)
    await api(hub, token, "DELETE", path, {"message": "Gone", "sha": written["content"]["sha"]})
    await api(hub, token, "GET", path, status=404)
    assert [commit.message for commit in shop.git.log()] == ["Gone", "New", "Two", "Initial commit"]


async def test_commits_branches_and_comparisons(hub: Sandbox, token: str) -> None:
    shop, alice = hub.repository("acme/shop"), hub.user("alice")
    await alice.pushes(shop, "task/1-1", {"new.py": "1\n"}, "New")
    await alice.pushes(shop, "main", {"README.md": "# The shop\n"}, "Words")
    head = shop.git.head("task/1-1")
    assert len(await api(hub, token, "GET", f"{HOME}/commits")) == 2
    listed = await api(hub, token, "GET", f"{HOME}/commits?path=README.md&per_page=1")
    assert [one["commit"]["message"] for one in listed] == ["Words"]
    commit = await api(hub, token, "GET", f"{HOME}/commits/{head}")
    assert (commit["stats"]["additions"], commit["files"][0]["filename"]) == (1, "new.py")
    await api(hub, token, "GET", f"{HOME}/commits/none", status=422)
    compared = await api(hub, token, "GET", f"{HOME}/compare/main...{head}")
    assert (compared["status"], compared["ahead_by"], compared["behind_by"]) == ("diverged", 1, 1)
    assert [one["filename"] for one in compared["files"]] == ["new.py"]
    await api(hub, token, "GET", f"{HOME}/compare/main...none", status=404)
    branch = await api(hub, token, "GET", f"{HOME}/branches/main")
    assert (branch["commit"]["sha"], branch["protected"]) == (shop.git.head(), False)
    await api(hub, token, "GET", f"{HOME}/branches/none", status=404)
    await api(hub, token, "POST", f"{HOME}/merges", {"base": "main", "head": "task/1-1"}, status=201)
    await api(hub, token, "POST", f"{HOME}/merges", {"base": "main", "head": "task/1-1"}, status=204)
    assert shop.git.read("main", "new.py") == "1\n"


async def test_a_commit_can_be_built_from_blobs_and_trees(hub: Sandbox, token: str) -> None:
    shop, git = hub.repository("acme/shop"), f"{HOME}/git"
    blob = await api(hub, token, "POST", f"{git}/blobs", {"content": "built\n"}, status=201)
    assert base64.b64decode((await api(hub, token, "GET", f"{git}/blobs/{blob['sha']}"))["content"]) == b"built\n"
    entries = [{"path": "built.txt", "mode": "100644", "type": "blob", "sha": blob["sha"]}]
    start = shop.git.head()
    tree_of = (await api(hub, token, "GET", f"{git}/commits/{start}"))["tree"]["sha"]
    body = {"base_tree": tree_of, "tree": entries}
    tree = await api(hub, token, "POST", f"{git}/trees", body, status=201)
    whole = await api(hub, token, "GET", f"{git}/trees/{tree['sha']}?recursive=1")
    assert [one["path"] for one in whole["tree"]] == ["README.md", "built.txt", "src", "src/cart.py"]
    made = {"message": "Built", "tree": tree["sha"], "parents": [start]}
    commit = await api(hub, token, "POST", f"{git}/commits", made, status=201)
    ref = {"ref": "refs/heads/built", "sha": commit["sha"]}
    await api(hub, token, "POST", f"{git}/refs", ref, status=201)
    await api(hub, token, "POST", f"{git}/refs", ref, status=422)
    assert shop.git.read("built", "built.txt") == "built\n"
    await api(hub, token, "PATCH", f"{git}/refs/heads/built", {"sha": start}, status=422)
    await api(hub, token, "PATCH", f"{git}/refs/heads/built", {"sha": start, "force": True})
    assert (await api(hub, token, "GET", f"{git}/ref/heads/built"))["object"]["sha"] == start
    assert len(await api(hub, token, "GET", f"{git}/matching-refs/heads/b")) == 1
    await api(hub, token, "DELETE", f"{git}/refs/heads/built", status=204)
    await api(hub, token, "GET", f"{git}/ref/heads/built", status=404)
