"""Every GraphQL request of the product is valid by the schema that GitHub publishes, as it is sent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

import adapters.github
from adapters.github import batch_mutations
from adapters.github.client import GitHub, GitHubClient
from adapters.github.errors import GraphQLError
from adapters.github.transport import Transport
from config.labels import LabelDefinition
from core.commands.buttons import Button
from core.effects.base import Annotation
from sandbox import ManualClock, Sandbox
from tests.builders import NOW
from tests.github_schema import request_problems

REPO = "acme/shop"
PERMISSIONS = {"checks": "write", "contents": "write", "issues": "write", "pull_requests": "write"}
OPERATION = re.compile(r"\b(?:query|mutation) ([A-Z]\w*)[ ({]")
Requests = list[tuple[str, Mapping[str, Any]]]


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> Requests:
    """The GraphQL requests that are sent; one that asks for relations is refused the first time."""
    sent: Requests = []
    send = Transport.graphql

    async def record(self: Transport, query: str, variables: Mapping[str, Any], *args: Any, **more: Any) -> Any:
        is_first = not any("blockedBy" in earlier for earlier, _ in sent)
        sent.append((query, variables))
        if is_first and "blockedBy" in query:
            raise GraphQLError(("Field 'blockedBy' doesn't exist on type 'Issue'",), None)
        return await send(self, query, variables, *args, **more)

    monkeypatch.setattr(Transport, "graphql", record)
    return sent


def operations() -> set[str]:
    """The names of all operations in the source."""
    sources = Path(adapters.github.__file__).parent.rglob("*.py")
    return {name for path in sources for name in OPERATION.findall(path.read_text(encoding="utf-8"))}


async def read(github: GitHub) -> None:
    """Every query."""
    for _ in range(2):
        assert [len(page) async for page in github.list_open_issues(REPO, "bug")] == [1]
    assert set(await github.get_issues(REPO, [1, 2])) == {1, 2}
    assert len((await github.list_open_pulls(REPO)).pulls) == 1
    assert set(await github.get_pulls(REPO, [2, 9], 1)) == {2, 9}
    assert set(await github.get_histories(REPO, [1])) == {1}
    assert await github.get_closed_states([(REPO, 1), (REPO, 2), (REPO, 9)])
    [issue] = [node async for node in github.list_issues_with_comments(REPO, "bug")]
    assert [page async for page in github.list_more_comments(REPO, issue)]
    assert await github.list_branches(REPO, "task/") == ["1"]
    assert await github.get_latest_number(REPO) == 2


async def write(github: GitHub, sha: str) -> None:
    """Every mutation, with every field of its input."""
    await github.ensure_labels(REPO, [LabelDefinition("task", "1d76db", "Work"), LabelDefinition("P1", "ffffff", "")])
    place = await github.get_node_ids(REPO, 1, ["task", "absent"])
    assert place is not None
    buttons = [Button("Retry", "Check again", "retry")]
    remarks = [Annotation("cart.py", 1, 2, "Both change this"), Annotation("cart.py", 1, 1, "a", "b", "warning")]
    checks = [
        batch_mutations.CheckContent("success", "No conflicts", "All good"),
        batch_mutations.CheckContent("neutral", "One conflict", "See below", remarks, buttons),
    ]
    comment = next(iter(place.comments.values()))
    pieces = [
        batch_mutations.set_labels(place.issue, [*place.issue_labels.values(), *place.repository_labels.values()]),
        batch_mutations.edit_comment(comment, "new"),
        batch_mutations.create_comment(place.issue, "another"),
        *(
            batch_mutations.create_check_run(place.repository, check, name="conflicts", sha=sha, external_id="1")
            for check in checks
        ),
    ]
    answers = await github.send_batch(pieces)
    changes = [
        batch_mutations.update_check_run(place.repository, answers[3]["checkRun"]["id"], check) for check in checks
    ]
    for count in (1, 2):
        await github.send_batch(changes[:count])
    await github.mark_ready(REPO, 2)


async def test_what_is_sent_is_valid(tmp_path: Path, requests: Requests) -> None:
    async with Sandbox(tmp_path / "hub", clock=ManualClock(NOW)) as hub:
        shop = hub.repository(REPO, files={"cart.py": "print(1)\n"})
        alice = hub.user("alice")
        hub.grant(shop, alice, "maintain")
        issue = await alice.opens_issue(shop, "Add a total", labels=["bug"])
        for number in range(60):
            await alice.comments(issue, f"comment {number}")
        await alice.pushes(shop, "task/1", {"cart.py": "print(2)\n"})
        pull = await alice.opens_pull(shop, head="task/1", title="Total", body="Closes #1", draft=True)
        app = hub.register_app("orchestrator", permissions=PERMISSIONS)
        installation = await hub.install(app, hub.organisation("acme"), [shop])
        async with GitHubClient(
            api_url=hub.url,
            graphql_url=f"{hub.url}/graphql",
            app_id=app.id,
            private_key_pem=app.private_key,
            now=hub.now,
        ) as client:
            github, person = client.installation(installation.id), client.person(SecretStr(hub.create_token(alice)))
            await read(github)
            await write(github, pull.head_sha)
            assert (await person.get_assignable(REPO)).actors
    assert {name for query, _ in requests for name in OPERATION.findall(query)} == operations()
    problems = [(query, problem) for query, variables in requests for problem in request_problems(query, variables)]
    assert problems == []
    without = [query for query, _ in requests if "OpenIssues" in query and "blockedBy" not in query]
    assert len(without) == 1, "a server without relations is asked without them"
    assert pull.draft is False
