"""Pull requests: from the branch to the merge, with the requests that GitHub refuses."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from sandbox import ApiError, Sandbox
from sandbox.actors.people import Person
from sandbox.state.models import Repository
from tests.sandbox.sandbox_kit import api, open_sandbox

EVENTS = ["issues", "pull_request", "pull_request_review", "push"]


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Sandbox]:
    async with open_sandbox(tmp_path) as hub:
        shop = hub.repository("acme/shop", files={"cart.py": "a = 1\nb = 2\nc = 3\nd = 4\n"})
        hub.grant(shop, hub.user("alice"), "write")
        hub.grant(shop, hub.user("bob"), "write")
        permissions = {"issues": "write", "pull_requests": "write", "contents": "write"}
        app = hub.register_app("ears", webhook_url="http://127.0.0.1:9/", permissions=permissions, events=EVENTS)
        await hub.install(app, hub.organisation("acme"), [shop])
        yield hub


@pytest.fixture
def shop(hub: Sandbox) -> Repository:
    return hub.repository("acme/shop")


@pytest.fixture
def alice(hub: Sandbox) -> Person:
    return hub.user("alice")


def heard(hub: Sandbox) -> list[str]:
    return [f"{one.event}.{one.action}" if one.action else one.event for one in hub.deliveries]


async def work(shop: Repository, alice: Person, branch: str, text: str, **more: Any) -> Any:
    await alice.pushes(shop, branch, {"cart.py": text}, f"Work on {branch}", start=more.pop("start", None))
    return await alice.opens_pull(shop, head=branch, title=f"From {branch}", **more)


async def test_mergeability_is_unknown_first_and_then_computed(hub: Sandbox, shop: Repository, alice: Person) -> None:
    pull = await work(shop, alice, "work", "a = 10\nb = 2\nc = 3\nd = 4\n")
    assert (pull.mergeable, pull.mergeable_state) == (None, "unknown")
    await hub.wait_until_idle()
    assert (pull.mergeable, pull.mergeable_state) == (True, "clean")
    assert (len(pull.commits), pull.additions, pull.deletions, pull.changed_files) == (1, 1, 1, 1)
    assert shop.git.ref("refs/pull/1/head") == pull.head_sha
    assert shop.git.show(shop.git.ref("refs/pull/1/merge") or "").parents == (shop.git.head(), pull.head_sha)


async def test_a_push_synchronizes_and_a_push_to_the_base_resets_mergeability(
    hub: Sandbox, shop: Repository, alice: Person
) -> None:
    pull = await work(shop, alice, "work", "a = 10\nb = 2\nc = 3\nd = 4\n")
    before = pull.head_sha
    await alice.pushes(shop, "work", {"new.py": "1\n"})
    (told,) = [one.payload for one in hub.deliveries if one.action == "synchronize"]
    assert (told["before"], told["after"]) == (before, shop.git.head("work"))
    assert (len(pull.commits), pull.changed_files) == (2, 2)
    await hub.wait_until_idle()
    await alice.pushes(shop, "main", {"cart.py": "a = 11\nb = 2\nc = 3\nd = 4\n"})
    await hub.wait_until_idle()
    assert pull.mergeable is None
    token = hub.create_token(alice)
    shown = await api(hub, token, "GET", "/repos/acme/shop/pulls/1")
    assert (shown["mergeable"], shown["mergeable_state"]) == (None, "unknown")
    await hub.wait_until_idle()
    shown = await api(hub, token, "GET", "/repos/acme/shop/pulls/1")
    assert (shown["mergeable"], shown["mergeable_state"]) == (False, "dirty")
    assert pull.conflicts == ("cart.py",)
    await api(hub, token, "PUT", "/repos/acme/shop/pulls/1/merge", {}, status=405)


@pytest.mark.parametrize("method", ["merge", "squash", "rebase"])
async def test_a_pull_request_can_be_merged_squashed_or_rebased(
    hub: Sandbox, shop: Repository, alice: Person, method: str
) -> None:
    issue = await alice.opens_issue(shop, "Wrong numbers")
    await alice.pushes(shop, "work", {"one.py": "1\n"}, "One")
    await alice.pushes(shop, "work", {"two.py": "2\n"}, "Two")
    pull = await alice.opens_pull(shop, head="work", title="Both", body=f"Fixes #{issue.number}")
    await alice.pushes(shop, "main", {"else.py": "3\n"}, "Else")
    shop.delete_branch_on_merge = True
    sha = await hub.user("bob").merges(pull, method=method)
    assert sha == shop.git.head()
    subjects = [commit.message.split("\n")[0] for commit in shop.git.log()]
    expected = {
        "merge": {"Merge pull request #2 from acme/work", "Two", "One", "Else", "Initial commit"},
        "squash": {"Both (#2)", "Else", "Initial commit"},
        "rebase": {"Two", "One", "Else", "Initial commit"},
    }
    assert set(subjects) == expected[method]
    assert [shop.git.read("main", name) for name in ("one.py", "two.py", "else.py")] == ["1\n", "2\n", "3\n"]
    assert (pull.merged, pull.state, pull.merged_by) == (True, "closed", hub.user("bob"))
    assert (issue.state, issue.closed_by) == ("closed", hub.user("bob"))
    assert shop.git.branches() == ["main"]
    assert heard(hub)[-4:] == ["pull_request.closed", "issues.closed", "push", "push"]


async def test_invalid_pull_requests_are_refused(shop: Repository, alice: Person) -> None:
    await alice.pushes(shop, "work", {"x": "1"})
    await alice.opens_pull(shop, head="work", title="One")
    refused: tuple[tuple[dict[str, Any], str], ...] = (
        ({"head": "work", "title": "Again"}, "already exists"),
        ({"head": "gone", "title": "x"}, "head"),
        ({"head": "work", "title": "x", "base": "gone"}, "base"),
        ({"head": "main", "title": "x"}, "No commits between main and main"),
        ({"head": "work", "title": " "}, "missing_field"),
    )
    for fields, words in refused:
        with pytest.raises(ApiError) as refusal:
            await alice.opens_pull(shop, **fields)
        assert refusal.value.status == 422
        assert words in str(refusal.value.body)


async def test_pull_requests_that_cannot_be_merged_are_refused(hub: Sandbox, shop: Repository, alice: Person) -> None:
    pull = await work(shop, alice, "work", "z = 1\n", draft=True)

    async def refused() -> str:
        with pytest.raises(ApiError) as refusal:
            await alice.merges(pull)
        assert refusal.value.status == 405
        return str(refusal.value.body["message"])

    assert await refused() == "Pull Request is still a draft"
    await alice.marks_ready(pull)
    shop.required_checks["main"] = ["tests"]
    assert await refused() == 'Required status check "tests" is expected.'
    shop.required_checks.clear()
    shop.required_approvals["main"] = 1
    assert "At least 1 approving review" in await refused()
    await hub.user("bob").reviews(pull, "REQUEST_CHANGES", "Not yet")
    assert "Changes have been requested" in await refused()
    review = await hub.user("bob").reviews(pull, "APPROVE")
    assert pull.mergeable_state in ("clean", "unknown")
    await alice.dismisses(review, "Too early")
    assert "At least 1" in await refused()
    await hub.user("bob").reviews(pull, "APPROVE")
    await alice.merges(pull)
    assert await refused() == "Pull Request is not mergeable"


async def test_reviews_send_webhooks_and_authors_cannot_approve(hub: Sandbox, shop: Repository, alice: Person) -> None:
    pull = await work(shop, alice, "work", "z = 1\n")
    bob = hub.user("bob")
    await alice.requests_review(pull, bob)
    assert pull.requested_reviewers == [bob]
    for person, event, body in ((alice, "APPROVE", ""), (bob, "REQUEST_CHANGES", " ")):
        with pytest.raises(ApiError, match="422"):
            await person.reviews(pull, event, body)
    await bob.reviews(pull, "REQUEST_CHANGES", "Please name it better")
    assert pull.requested_reviewers == []
    told = hub.deliveries[-1].payload
    assert (told["action"], told["review"]["state"]) == ("submitted", "changes_requested")
    found = await api(hub, hub.create_token(bob), "GET", "/repos/acme/shop/pulls/1/reviews")
    assert [one["state"] for one in found] == ["CHANGES_REQUESTED"]


async def test_a_pull_request_closes_reopens_and_closes_with_its_branch(
    hub: Sandbox, shop: Repository, alice: Person
) -> None:
    pull = await work(shop, alice, "work", "z = 1\n")
    await alice.closes_pull(pull)
    await alice.pushes(shop, "work", {"more.py": "1\n"})
    assert "pull_request.synchronize" not in heard(hub)
    await alice.reopens_pull(pull)
    assert pull.head_sha == shop.git.head("work")
    await alice.deletes_branch(shop, "work")
    assert pull.state == "closed"
    with pytest.raises(ApiError, match="422"):
        await alice.reopens_pull(pull)


async def test_a_local_merge_marks_the_pull_request_as_merged(hub: Sandbox, shop: Repository, alice: Person) -> None:
    issue = await alice.opens_issue(shop, "Wrong")
    pull = await work(shop, alice, "work", "z = 1\n", body=f"Resolves #{issue.number}")
    await shop.git.update_ref("refs/heads/main", pull.head_sha)
    from sandbox.git.objects import RefChange
    from sandbox.services.pushes import process_push

    await process_push(hub, shop, [RefChange("refs/heads/main", pull.base_sha, pull.head_sha)], alice)
    assert (pull.merged, issue.state) == (True, "closed")


async def test_pull_requests_over_rest(hub: Sandbox, shop: Repository, alice: Person) -> None:
    token, home = hub.create_token(alice), "/repos/acme/shop"
    await alice.pushes(shop, "work", {"cart.py": "a = 10\nb = 2\nc = 3\nd = 4\n"})
    fields = {"title": "Ten", "head": "work", "base": "main", "body": "Because."}
    made = await api(hub, token, "POST", f"{home}/pulls", fields, status=201)
    assert (made["number"], made["user"]["login"], made["mergeable"]) == (1, "alice", None)
    await hub.wait_until_idle()
    assert [one["number"] for one in await api(hub, token, "GET", f"{home}/pulls?head=acme:work")] == [1]
    assert await api(hub, token, "GET", f"{home}/pulls?state=closed") == []
    (file,) = await api(hub, token, "GET", f"{home}/pulls/1/files")
    assert (file["filename"], file["status"]) == ("cart.py", "modified")
    assert "+a = 10" in file["patch"]
    (commit,) = await api(hub, token, "GET", f"{home}/pulls/1/commits")
    assert commit["author"]["login"] == "alice"
    sha = commit["sha"]
    assert [one["number"] for one in await api(hub, token, "GET", f"{home}/commits/{sha}/pulls")] == [1]
    await api(hub, token, "PATCH", f"{home}/pulls/1", {"title": "Eleven"})
    assert hub.deliveries[-1].payload["changes"] == {"title": {"from": "Ten"}}
    review = {"event": "COMMENT", "body": "Hm.", "comments": [{"path": "cart.py", "line": 1, "body": "Here"}]}
    await api(hub, hub.create_token(hub.user("bob")), "POST", f"{home}/pulls/1/reviews", review)
    (comment,) = await api(hub, token, "GET", f"{home}/pulls/1/comments")
    assert (comment["path"], comment["line"]) == ("cart.py", 1)
    reactions = f"{home}/pulls/comments/{comment['id']}/reactions"
    await api(hub, token, "POST", reactions, {"content": "eyes"}, status=201)
    assert [one["content"] for one in await api(hub, token, "GET", reactions)] == ["eyes"]
    await alice.pushes(shop, "main", {"else.py": "1\n"})
    await api(hub, token, "PUT", f"{home}/pulls/1/update-branch", {}, status=202)
    await hub.wait_until_idle()
    assert shop.git.read("work", "else.py") == "1\n"
    await api(hub, token, "GET", f"{home}/pulls/1/merge", status=404)
    await api(hub, token, "PUT", f"{home}/pulls/1/merge", {"sha": sha}, status=409)
    await api(hub, token, "PUT", f"{home}/pulls/1/merge", {"merge_method": "squash"})
    await api(hub, token, "GET", f"{home}/pulls/1/merge", status=204)
    await api(hub, token, "GET", f"{home}/pulls/99", status=404)


async def test_a_branch_can_be_updated_with_its_base(hub: Sandbox, shop: Repository, alice: Person) -> None:
    pull = await work(shop, alice, "work", "z = 1\n")
    [installation] = hub.installations.values()
    token, url = hub.create_installation_token(installation), "/repos/acme/shop/pulls/1/update-branch"

    async def asked(head: str, status: int = 422) -> str:
        answer = await api(hub, token, "PUT", url, {"expected_head_sha": head}, status=status)
        await hub.wait_until_idle()
        return str(answer["message"])

    head = pull.head_sha
    assert await asked(head) == "There are no new commits on the base branch."
    base = await alice.pushes(shop, "main", {"else.py": "1\n"})
    assert await asked(base) == "expected head sha didn't match current head ref."
    shop.strict_branches.add("main")
    with pytest.raises(ApiError, match="409.*out of date"):
        await alice.merges(pull)
    hub.deliveries.clear()
    assert await asked(head, 202) == "Updating pull request branch."
    merge = await shop.git.commit(pull.head_sha)
    assert (merge.parents, merge.author.name) == ((head, base), "ears[bot]")
    assert shop.git.read("work", "else.py") == "1\n"
    assert heard(hub) == ["push", "pull_request.synchronize"]
    assert hub.deliveries[-1].payload["sender"]["login"] == "ears[bot]"
    assert await asked(head) == "expected head sha didn't match current head ref."
    await alice.pushes(shop, "main", {"cart.py": "a = 9\nb = 2\nc = 3\nd = 4\n"})
    clash = await alice.pushes(shop, "work", {"cart.py": "a = 8\nb = 2\nc = 3\nd = 4\n"})
    assert await asked(clash) == "merge conflict between base and head"
    assert pull.head_sha == clash
    await alice.pushes(shop, "work", {"cart.py": "a = 9\nb = 2\nc = 3\nd = 4\n"})
    assert await asked(pull.head_sha, 202)
    await alice.merges(pull)
    assert await asked(pull.head_sha) == "head ref does not exist"


async def test_a_stacked_pull_request_is_counted_again_after_its_base_merges(
    hub: Sandbox, shop: Repository, alice: Person
) -> None:
    await alice.pushes(shop, "one", {"one.py": "1\n"}, "One")
    first = await alice.opens_pull(shop, head="one", title="One")
    await alice.pushes(shop, "two", {"two.py": "2\n"}, "Two", start="one")
    on_top = await alice.opens_pull(shop, head="two", title="Two")
    assert (len(on_top.commits), on_top.changed_files) == (2, 2)
    await alice.pushes(shop, "main", {"else.py": "3\n"}, "Else")
    assert (len(on_top.commits), on_top.changed_files, on_top.base_sha) == (2, 2, shop.git.head())
    await alice.merges(first, method="merge")
    assert (len(on_top.commits), on_top.changed_files, on_top.base_sha) == (1, 1, shop.git.head())
