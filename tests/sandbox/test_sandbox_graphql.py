"""GraphQL: one query for the issues of a repository with all that belongs to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.sandbox.conftest import Stage

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
    await alice.blocks(two, blocker=one)
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


HISTORY = """
{ rateLimit { cost } repository(owner: "acme", name: "shop") { issue(number: 1) { lastEditedAt fullDatabaseId
  timelineItems(last: 100, itemTypes: [LABELED_EVENT, UNLABELED_EVENT, CLOSED_EVENT, REOPENED_EVENT,
      RENAMED_TITLE_EVENT]) { nodes { __typename
    ... on LabeledEvent { actor { login } label { name } }
    ... on UnlabeledEvent { actor { login } label { name } createdAt }
    ... on ClosedEvent { actor { login } stateReason } } } } } }
"""


async def test_who_did_what_to_an_issue(stage: Stage) -> None:
    alice = stage.hub.user("alice")
    stage.hub.grant(stage.shop, alice, "write")
    issue = await alice.opens_issue(stage.shop, "a", labels=["bug"])
    await alice.edits_issue(issue, title="b", body="new")
    await alice.unlabels(issue, "bug")
    await alice.closes(issue)
    await alice.reopens(issue)
    told = (await ask(stage, HISTORY))["data"]["repository"]["issue"]
    who = {"actor": {"login": "alice"}}
    when = told["lastEditedAt"]
    assert told["fullDatabaseId"] == str(issue.id)
    assert told["timelineItems"]["nodes"] == [
        {"__typename": "LabeledEvent", "label": {"name": "bug"}, **who},
        {"__typename": "RenamedTitleEvent"},
        {"__typename": "UnlabeledEvent", "label": {"name": "bug"}, "createdAt": when, **who},
        {"__typename": "ClosedEvent", "stateReason": "COMPLETED", **who},
        {"__typename": "ReopenedEvent"},
    ]


async def test_a_query_costs_what_its_lists_may_hold(stage: Stage) -> None:
    lists = "labels(first: 50) { nodes { name } } blockedBy(first: 50) { nodes { number } }"
    asked = '{ rateLimit { cost used } repository(owner: "acme", name: "shop") { issues(first: %s) { nodes { %s } } } }'
    one = (await ask(stage, asked % (1, "number")))["data"]["rateLimit"]
    many = (await ask(stage, asked % (100, lists)))["data"]["rateLimit"]
    assert (one["cost"], many["cost"], many["used"] - one["used"]) == (1, 2, 2)
    deep = "subIssues(first: 100) { nodes { comments(first: 100) { nodes { id } } } }"
    deep = "".join(("blockedBy(first: 100) { nodes { ", deep, " } }"))
    body = await ask(stage, asked % (100, deep))
    assert "exceeds the maximum limit" in body["errors"][0]["message"]


MAKE = """
mutation($one: CreateLabelInput!, $two: CreateLabelInput!) {
  one: createLabel(input: $one) { label { id name color description } }
  two: createLabel(input: $two) { label { name } }
}
"""


async def test_several_labels_are_made_at_once_and_one_that_is_refused_stops_no_other(stage: Stage) -> None:
    new = {"repositoryId": stage.shop.node_id, "name": "task", "color": "1D76DB", "description": "Work"}
    taken = {"repositoryId": stage.shop.node_id, "name": "Bug", "color": "ffffff"}
    body = await ask(stage, MAKE, one=new, two=taken)
    made = stage.shop.label("task")
    assert made is not None
    looks = {"id": made.node_id, "name": "task", "color": "1d76db", "description": "Work"}
    assert body["data"] == {"one": {"label": looks}, "two": None}
    assert [(error["type"], error["path"]) for error in body["errors"]] == [("UNPROCESSABLE", ["two"])]
    await stage.hub.wait_until_idle()
    assert stage.events.count("label.created") == 1
    colour = {**new, "name": "other", "color": "blue"}
    elsewhere = {**new, "name": "third", "repositoryId": "R_unknown"}
    body = await ask(stage, MAKE, one=colour, two=elsewhere)
    assert body["data"] == {"one": None, "two": None}
    assert [error["type"] for error in body["errors"]] == ["UNPROCESSABLE", "NOT_FOUND"]
    assert stage.shop.label("other") is None


@pytest.mark.parametrize(
    ("left_out", "more", "complaint"),
    [("color", {}, "'color' on InputObject"), ("", {"colour": "ffffff"}, "doesn't accept argument 'colour'")],
)
async def test_a_label_needs_what_github_asks_for_and_no_more(
    stage: Stage, left_out: str, more: dict[str, str], complaint: str
) -> None:
    sent = {"repositoryId": stage.shop.node_id, "name": "task", "color": "1d76db"} | more
    sent.pop(left_out, None)
    body = await ask(stage, MAKE, one=sent, two=sent)
    assert complaint in body["errors"][0]["message"]
    assert "data" not in body


async def test_who_may_not_write_issues_makes_no_label(stage: Stage) -> None:
    stage.installation.permissions["issues"] = "read"
    sent = {"repositoryId": stage.shop.node_id, "name": "task", "color": "1d76db"}
    body = await ask(stage, MAKE, one=sent, two=sent)
    assert "Resource not accessible by integration" in body["errors"][0]["message"]
    assert stage.shop.label("task") is None
