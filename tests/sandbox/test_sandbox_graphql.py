"""GraphQL: one query for the issues of a repository with all that belongs to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Stage

QUERY = """
query Tasks($owner: String!, $name: String!, $after: String) {
  rateLimit { cost remaining }
  repository(owner: $owner, name: $name) {
    nameWithOwner
    open: issues(first: 2, after: $after, states: [OPEN], orderBy: {field: CREATED_AT, direction: ASC}) {
      totalCount
      pageInfo { hasNextPage endCursor }
      nodes { ...task blockedBy(first: 10) { nodes { number state } } }
    }
  }
}
fragment task on Issue {
  number title author { login __typename }
  labels(first: 20) { nodes { name } }
  assignees(first: 5) { nodes { login } }
  closedByPullRequestsReferences(first: 5, includeClosedPrs: true) { nodes { number } }
}
"""


async def ask(stage: Stage, query: str, **variables: Any) -> Any:
    status, body, _ = await stage.call("POST", "/graphql", {"query": query, "variables": variables})
    assert status == 200
    return body


async def test_issues_with_all_that_belongs_to_them(stage: Stage) -> None:
    alice = stage.hub.user("alice")
    stage.hub.grant(stage.shop, alice, "write")
    one, two, three = [await alice.opens_issue(stage.shop, name, labels=["bug"]) for name in "abc"]
    await alice.blocks(two, by=one)
    await alice.assigns(one, alice)
    names = {"owner": "acme", "name": "shop"}
    first = (await ask(stage, QUERY, **names))["data"]["repository"]
    assert first["open"]["totalCount"] == 3
    assert first["open"]["nodes"][0] == {
        "number": 1,
        "title": "a",
        "author": {"login": "alice", "__typename": "User"},
        "labels": {"nodes": [{"name": "bug"}]},
        "assignees": {"nodes": [{"login": "alice"}]},
        "closedByPullRequestsReferences": {"nodes": []},
        "blockedBy": {"nodes": []},
    }
    assert first["open"]["nodes"][1]["blockedBy"] == {"nodes": [{"number": 1, "state": "OPEN"}]}
    after = first["open"]["pageInfo"]["endCursor"]
    second = (await ask(stage, QUERY, **names, after=after))["data"]["repository"]["open"]
    assert ([node["number"] for node in second["nodes"]], second["pageInfo"]["hasNextPage"]) == ([3], False)
    by_id = await ask(stage, "query($id: ID!) { node(id: $id) { ... on Issue { number } } }", id=three.node_id)
    assert by_id["data"]["node"] == {"number": 3}


@pytest.mark.parametrize(
    ("query", "complaint"),
    [
        ('{ repository(owner: "acme", name: "shop") { stargazers } }', "doesn't exist on type 'Repository'"),
        ('{ repository(owner: "acme", name: "shop") { issues { totalCount } } }', "`first` or `last`"),
        ("{ viewer }", "no selections"),
        ("{ viewer { login }", "Parse error"),
        ("mutation { closeIssue { id } }", "Field 'closeIssue' doesn't exist on type 'Mutation'"),
        ("{ viewer { login @include(if: true) } }", "directives"),
        ("{ rateLimit { colour } }", "doesn't exist on type 'RateLimit'"),
    ],
)
async def test_what_it_does_not_know_it_says(stage: Stage, query: str, complaint: str) -> None:
    body = await ask(stage, query)
    assert complaint in body["errors"][0]["message"]
    assert "data" not in body


async def test_what_is_not_there_is_null_with_an_error(stage: Stage) -> None:
    body = await ask(stage, '{ repository(owner: "acme", name: "nothing") { id } }')
    assert body["data"] == {"repository": None}
    assert (body["errors"][0]["type"], body["errors"][0]["path"]) == ("NOT_FOUND", ["repository"])
