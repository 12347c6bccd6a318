"""Clone, fetch and push by a real git client over HTTP."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from sandbox import Sandbox
from sandbox.git.command import GitCommandError, run_git
from tests.sandbox.sandbox_kit import open_sandbox


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Sandbox]:
    async with open_sandbox(tmp_path / "hub") as hub:
        hub.repository("acme/shop", files={"README.md": "# Shop\n"})
        hub.repository("acme/vault", files={"secret": "42\n"}, private=True)
        yield hub


async def git(where: Path, *arguments: str) -> str:
    _, out = await run_git(arguments, directory=where)
    return out.decode().strip()


def address(hub: Sandbox, token: str, name: str = "acme/shop") -> str:
    return hub.url.replace("://", f"://x-access-token:{token}@") + f"/{name}.git"


async def test_a_public_repository_can_be_cloned_but_not_pushed_without_authentication(
    hub: Sandbox, tmp_path: Path
) -> None:
    await git(tmp_path, "clone", "--quiet", f"{hub.url}/acme/shop", "copy")
    assert (tmp_path / "copy" / "README.md").read_text() == "# Shop\n"
    with pytest.raises(GitCommandError, match=r"could not read|Authentication|terminal prompts"):
        await git(tmp_path / "copy", "push", "origin", "HEAD:refs/heads/work")


async def test_a_private_repository_is_hidden(hub: Sandbox, tmp_path: Path) -> None:
    stranger = hub.create_token(hub.user("mallory"))
    with pytest.raises(GitCommandError, match="not found"):
        await git(tmp_path, "clone", address(hub, stranger, "acme/vault"), "copy")
    with pytest.raises(GitCommandError, match=r"could not read|Authentication|terminal prompts"):
        await git(tmp_path, "clone", f"{hub.url}/acme/vault.git", "copy")
    with pytest.raises(GitCommandError):
        await git(tmp_path, "clone", address(hub, "ghp_wrong", "acme/vault"), "copy")


async def test_a_push_moves_branches_and_sends_webhooks(hub: Sandbox, tmp_path: Path) -> None:
    shop, alice = hub.repository("acme/shop"), hub.user("alice")
    hub.grant(shop, alice, "write")
    app = hub.register_app(
        "ears",
        webhook_url="http://127.0.0.1:9/",
        permissions={"contents": "write", "pull_requests": "read"},
        events=["push", "pull_request"],
    )
    installation = await hub.install(app, hub.organisation("acme"), [shop])
    await git(tmp_path, "clone", "--quiet", address(hub, hub.create_token(alice)), "copy")
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
    await hub.wait_until_idle()
    as_app = address(hub, hub.create_installation_token(installation))
    await git(copy, "commit", "--quiet", "--amend", "--message", "A better cart")
    await git(copy, "push", "--quiet", "--force", as_app, "HEAD:refs/heads/work")
    assert pull.head_sha == shop.git.head("work") != sha
    forced = [one for one in hub.deliveries if one.event == "push"][-1].payload
    assert (forced["forced"], forced["sender"]["login"]) == (True, "ears[bot]")
    with pytest.raises(GitCommandError, match=r"deny|denied|hidden|declined"):
        await git(copy, "push", as_app, "HEAD:refs/pull/1/head")
    reader = hub.create_token(hub.user("bob"))
    with pytest.raises(GitCommandError, match="403"):
        await git(copy, "push", address(hub, reader), "HEAD:refs/heads/other")
    await git(copy, "fetch", "--quiet", "origin", "refs/pull/1/merge:merged")
    assert (await git(copy, "show", "merged:cart.py")) == "x = 1"


async def test_clients_with_older_protocols_are_served(hub: Sandbox, tmp_path: Path) -> None:
    hub.grant(hub.repository("acme/shop"), hub.user("alice"), "write")
    url = address(hub, hub.create_token(hub.user("alice")))
    for version in ("0", "1"):
        old = ("-c", f"protocol.version={version}")
        copy = tmp_path / f"copy-{version}"
        await git(tmp_path, *old, "clone", "--quiet", url, str(copy))
        assert (copy / "README.md").read_text() == "# Shop\n"
        await git(copy, "commit", "--quiet", "--allow-empty", "--message", "Nothing")
        await git(copy, *old, "push", "--quiet", "origin", f"HEAD:refs/heads/work-{version}")
        assert hub.repository("acme/shop").git.head(f"work-{version}") == await git(copy, "rev-parse", "HEAD")


async def test_an_empty_repository_can_be_cloned_and_gets_its_first_commit(hub: Sandbox, tmp_path: Path) -> None:
    empty = hub.repository("acme/empty", files={})
    hub.grant(empty, hub.user("alice"), "write")
    copy = tmp_path / "copy"
    await git(tmp_path, "clone", "--quiet", address(hub, hub.create_token(hub.user("alice")), "acme/empty"), str(copy))
    assert await git(copy, "symbolic-ref", "HEAD") == "refs/heads/main"
    await git(copy, "commit", "--quiet", "--allow-empty", "--message", "The first")
    await git(copy, "push", "--quiet", "origin", "HEAD:refs/heads/main")
    assert [commit.message for commit in empty.git.log()] == ["The first"]


async def test_an_invalid_request_is_refused(hub: Sandbox) -> None:
    async with (
        aiohttp.ClientSession(headers={"Git-Protocol": "version=2"}) as session,
        session.post(f"{hub.url}/acme/shop.git/git-upload-pack", data=b"nonsense") as answer,
    ):
        assert (answer.status, "no request of protocol 2" in await answer.text()) == (400, True)
