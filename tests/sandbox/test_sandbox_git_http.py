"""Clone, fetch and push by a real git client over HTTP."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sandbox import Sandbox
from sandbox.git_command import GitError, git_process
from tests.sandbox.sandbox_kit import opened


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Sandbox]:
    async with opened(tmp_path / "hub") as hub:
        hub.repository("acme/shop", files={"README.md": "# Shop\n"})
        hub.repository("acme/vault", files={"secret": "42\n"}, private=True)
        yield hub


async def git(where: Path, *arguments: str) -> str:
    _, out = await git_process(arguments, directory=where)
    return out.decode().strip()


def address(hub: Sandbox, token: str, name: str = "acme/shop") -> str:
    return hub.url.replace("://", f"://x-access-token:{token}@") + f"/{name}.git"


async def test_a_public_repository_is_cloned_by_anybody_and_pushed_by_nobody(hub: Sandbox, tmp_path: Path) -> None:
    await git(tmp_path, "clone", "--quiet", f"{hub.url}/acme/shop", "copy")
    assert (tmp_path / "copy" / "README.md").read_text() == "# Shop\n"
    with pytest.raises(GitError, match=r"could not read|Authentication|terminal prompts"):
        await git(tmp_path / "copy", "push", "origin", "HEAD:refs/heads/work")


async def test_a_private_one_is_hidden(hub: Sandbox, tmp_path: Path) -> None:
    stranger = hub.token(hub.user("mallory"))
    with pytest.raises(GitError, match="not found"):
        await git(tmp_path, "clone", address(hub, stranger, "acme/vault"), "copy")
    with pytest.raises(GitError, match=r"could not read|Authentication|terminal prompts"):
        await git(tmp_path, "clone", f"{hub.url}/acme/vault.git", "copy")
    with pytest.raises(GitError):
        await git(tmp_path, "clone", address(hub, "ghp_wrong", "acme/vault"), "copy")


async def test_a_push_moves_branches_and_is_told(hub: Sandbox, tmp_path: Path) -> None:
    shop, alice = hub.repository("acme/shop"), hub.user("alice")
    hub.grant(shop, alice, "write")
    app = hub.app(
        "ears",
        webhook_url="http://127.0.0.1:9/",
        permissions={"contents": "write", "pull_requests": "read"},
        events=["push", "pull_request"],
    )
    installation = await hub.install(app, hub.organisation("acme"), [shop])
    await git(tmp_path, "clone", "--quiet", address(hub, hub.token(alice)), "copy")
    copy = tmp_path / "copy"
    (copy / "cart.py").write_text("x = 1\n")
    await git(copy, "add", "--all")
    await git(copy, "commit", "--quiet", "--message", "A cart")
    await git(copy, "push", "--quiet", "origin", "HEAD:refs/heads/work", "HEAD:refs/tags/v1")
    sha = await git(copy, "rev-parse", "HEAD")
    assert shop.git.head("work") == sha
    pushes = {one.payload["ref"]: one.payload for one in hub.deliveries if one.event == "push"}
    assert set(pushes) == {"refs/heads/work", "refs/tags/v1"}
    told = pushes["refs/heads/work"]
    assert (told["created"], told["before"], told["after"]) == (True, "0" * 40, sha)
    assert [(one["message"], one["added"]) for one in told["commits"]] == [("A cart", ["cart.py"])]
    assert told["sender"]["login"] == "alice"

    pull = await alice.opens_pull(shop, head="work", title="A cart")
    await hub.settled()
    as_app = address(hub, hub.installation_token(installation))
    await git(copy, "commit", "--quiet", "--amend", "--message", "A better cart")
    await git(copy, "push", "--quiet", "--force", as_app, "HEAD:refs/heads/work")
    assert pull.head_sha == shop.git.head("work") != sha
    forced = [one for one in hub.deliveries if one.event == "push"][-1].payload
    assert (forced["forced"], forced["sender"]["login"]) == (True, "ears[bot]")
    with pytest.raises(GitError, match=r"deny|denied|hidden|declined"):
        await git(copy, "push", as_app, "HEAD:refs/pull/1/head")
    reader = hub.token(hub.user("bob"))
    with pytest.raises(GitError, match="403"):
        await git(copy, "push", address(hub, reader), "HEAD:refs/heads/other")
    await git(copy, "fetch", "--quiet", "origin", "refs/pull/1/merge:merged")
    assert (await git(copy, "show", "merged:cart.py")) == "x = 1"
