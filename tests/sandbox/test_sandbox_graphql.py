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
        ("{ viewer { login @cached } }", "Directive @cached is not defined"),
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
    [
        ("color", {}, "for color (Expected value to not be null)"),
        ("", {"colour": "ffffff"}, "for colour (Field is not defined on CreateLabelInput)"),
        ("", {"color": None}, "for color (Expected value to not be null)"),
        ("", {"name": [1]}, "for name (String cannot represent"),
    ],
)
async def test_a_label_needs_what_github_asks_for_and_no_more(
    stage: Stage, left_out: str, more: dict[str, Any], complaint: str
) -> None:
    sent = {"repositoryId": stage.shop.node_id, "name": "task", "color": "1d76db"} | more
    sent.pop(left_out, None)
    body = await ask(stage, MAKE, one=sent, two=sent)
    message = body["errors"][0]["message"]
    assert message.startswith(f"Variable $one of type CreateLabelInput! was provided invalid value {complaint}")
    assert "data" not in body


async def test_who_may_not_write_issues_makes_no_label(stage: Stage) -> None:
    stage.installation.permissions["issues"] = "read"
    sent = {"repositoryId": stage.shop.node_id, "name": "task", "color": "1d76db"}
    body = await ask(stage, MAKE, one=sent, two=sent)
    assert body["data"] == {"one": None, "two": None}
    assert [(error["type"], error["path"], error["message"]) for error in body["errors"]] == [
        ("FORBIDDEN", [alias], "Resource not accessible by integration") for alias in ("one", "two")
    ]
    assert stage.shop.label("task") is None


@pytest.mark.parametrize(
    ("query", "code", "message"),
    [
        ("{ viewer { email } }", "undefinedField", "Field 'email' doesn't exist on type 'User'"),
        ("{ viewer }", "selectionMismatch", "(field 'viewer' returns User but has no selections."),
        ("{ viewer { login { a } } }", "selectionMismatch", "(field 'login' returns String but has selections)"),
        ("{ viewer(id: 1) { login } }", "argumentNotAccepted", "Field 'viewer' doesn't accept argument 'id'"),
        (
            '{ repository(name: "a") { id } }',
            "missingRequiredArguments",
            "Field 'repository' is missing required arguments: owner",
        ),
        (
            'mutation { createLabel(input: {name: "a", color: "b"}) { clientMutationId } }',
            "missingRequiredInputObjectAttribute",
            "Argument 'repositoryId' on InputObject 'CreateLabelInput' is required.",
        ),
        (
            'mutation { updateIssue(input: {id: "a", planet: 1}) { clientMutationId } }',
            "argumentNotAccepted",
            "InputObject 'UpdateIssueInput' doesn't accept argument 'planet'",
        ),
        ("{ node(id: $id) { id } }", "variableNotDefined", "Variable $id is used but not declared"),
        ("query($id: ID) { viewer { login } }", "variableNotUsed", "Variable $id is declared but not used"),
        (
            "query($id: Int) { node(id: $id) { id } }",
            "variableMismatch",
            "Type mismatch on variable $id (Int / ID!)",
        ),
        ("{ viewer { ...who } }", "useAndDefineFragment", "Fragment who was used, but not defined"),
        (
            "{ viewer { login } } fragment who on User { id }",
            "useAndDefineFragment",
            "Fragment who was defined, but not used",
        ),
        ("{ viewer { ... on Planet { id } } }", "undefinedType", "No such type Planet"),
    ],
)
async def test_errors_of_a_request_have_githubs_codes(stage: Stage, query: str, code: str, message: str) -> None:
    [error] = (body := await ask(stage, query))["errors"]
    assert message in error["message"]
    assert error["extensions"] == {"code": code}
    assert error["locations"][0]["line"] == 1
    assert "data" not in body


IN_SHOP = '{ repository(owner: "acme", name: "shop") { %s } }'


@pytest.mark.parametrize(
    ("field", "kind", "message"),
    [
        ("issues { totalCount }", "MISSING_PAGINATION_BOUNDARIES", "properly paginate the `issues` connection."),
        ("issues(first: 1, last: 1) { totalCount }", "MISSING_PAGINATION_BOUNDARIES", "`first` or `last`"),
        ("labels(last: 101) { totalCount }", "EXCESSIVE_PAGINATION", "exceeds the `last` limit of 100 records."),
        (
            "issues(first: 100) { nodes { comments(first: 100) { totalCount }"
            " subIssues(first: 100) { nodes { labels(first: 50) { totalCount } } } } }",
            "MAX_NODE_LIMIT_EXCEEDED",
            "requests up to 520,100 possible nodes which exceeds the maximum limit of 500,000.",
        ),
    ],
)
async def test_pages_and_nodes_have_limits(stage: Stage, field: str, kind: str, message: str) -> None:
    [error] = (body := await ask(stage, IN_SHOP % field))["errors"]
    assert (error["type"], message in error["message"], "data" in body) == (kind, True, False)


async def test_a_list_can_be_read_from_its_end(stage: Stage) -> None:
    query = """query($size: Int!, $before: String) { repository(owner: "acme", name: "shop") {
        labels(last: $size, before: $before) { pageInfo { hasPreviousPage startCursor } nodes { name } } } }"""
    names = [label.name for label in stage.shop.labels.values()]
    last = (await ask(stage, query, size=3))["data"]["repository"]["labels"]
    assert [node["name"] for node in last["nodes"]] == names[-3:]
    before = last["pageInfo"]["startCursor"]
    first = (await ask(stage, query, size=100, before=before))["data"]["repository"]["labels"]
    assert ([node["name"] for node in first["nodes"]], first["pageInfo"]["hasPreviousPage"]) == (names[:-3], False)
    body = await ask(stage, query, size=3, before="!")
    assert body["data"] == {"repository": {"labels": None}}
    assert body["errors"][0]["message"] == "`!` does not appear to be a valid cursor."


async def test_one_operation_of_several_is_named(stage: Stage) -> None:
    document = "query A { viewer { login } } query B($no: Boolean = true) { viewer { login @skip(if: $no) id } }"
    [error] = (await ask(stage, document))["errors"]
    assert error["message"] == "An operation name is required"
    _, body, _ = await stage.call("POST", "/graphql", {"query": document, "operationName": "B"})
    assert list(body["data"]["viewer"]) == ["id"]
    _, body, _ = await stage.call("POST", "/graphql", {"query": document, "operationName": "C"})
    assert body["errors"][0]["message"] == 'No operation named "C"'


async def test_mutations_run_in_their_order_and_one_that_fails_stops_no_other(stage: Stage) -> None:
    alice = stage.hub.user("alice")
    stage.hub.grant(stage.shop, alice, "write")
    issue = await alice.opens_issue(stage.shop, "a")
    await alice.pushes(stage.shop, "task/1", {"cart.py": "print(2)\n"})
    pull = await alice.opens_pull(stage.shop, head="task/1", title="b")
    query = """mutation($issue: ID!, $pull: ID!, $label: ID!) {
      one: addComment(input: {subjectId: $issue, body: "first", clientMutationId: "7"}) {
        clientMutationId subject { ... on Issue { comments(last: 1) { nodes { body } } } } }
      two: updateIssue(input: {id: $pull, labelIds: []}) { issue { id } }
      three: updateIssue(input: {id: $issue, labelIds: [$label]}) { issue { labels(first: 1) { nodes { name } } } }
      four: addComment(input: {subjectId: $pull, body: "second"}) { subject { __typename } }
      five: addComment(input: {subjectId: $label, body: "third"}) { subject { id } }
    }"""
    bug = stage.shop.label("bug")
    assert bug is not None
    body = await ask(stage, query, issue=issue.node_id, pull=pull.node_id, label=bug.node_id)
    assert body["data"] == {
        "one": {"clientMutationId": "7", "subject": {"comments": {"nodes": [{"body": "first"}]}}},
        "two": None,
        "three": {"issue": {"labels": {"nodes": [{"name": "bug"}]}}},
        "four": {"subject": {"__typename": "PullRequest"}},
        "five": None,
    }
    assert [(error["type"], error["path"]) for error in body["errors"]] == [
        ("NOT_FOUND", ["two"]),
        ("NOT_FOUND", ["five"]),
    ]


@pytest.mark.parametrize("changes", [{"state": "lost"}, {"created_at": "yesterday"}, {"title": None}])
async def test_a_fault_of_the_sandbox_is_no_answer(stage: Stage, changes: dict[str, Any]) -> None:
    alice = stage.hub.user("alice")
    stage.hub.grant(stage.shop, alice, "write")
    issue = await alice.opens_issue(stage.shop, "a")
    for name, value in changes.items():
        setattr(issue, name, value)
    query = IN_SHOP % "issue(number: 1) { state createdAt title }"
    status, _, _ = await stage.call("POST", "/graphql", {"query": query})
    assert (status, len(stage.hub.errors)) == (500, 1)
    stage.hub.errors.clear()
