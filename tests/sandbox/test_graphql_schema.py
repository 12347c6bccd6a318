"""The sandbox's GraphQL schema is a part of the one that GitHub publishes, and all of it can be answered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    build_schema,
    get_named_type,
    is_abstract_type,
    is_leaf_type,
)

from sandbox.graphql.schema import load_schema
from tests.github_schema import published_schema, request_problems

if TYPE_CHECKING:
    from tests.sandbox.conftest import Stage


def differences(schema: GraphQLSchema, published: GraphQLSchema) -> Iterator[str]:
    """What a schema has and the published one has not, or has otherwise."""
    for name, item in schema.type_map.items():
        if name.startswith("__"):
            continue
        original = published.type_map.get(name)
        if type(original) is not type(item):
            yield f"{name}: {type(item).__name__}"
        else:
            yield from _type_differences(item, original)


def _type_differences(item: GraphQLNamedType, original: Any) -> Iterator[str]:
    if isinstance(item, GraphQLObjectType | GraphQLInterfaceType):
        interfaces = {interface.name for interface in original.interfaces}
        yield from (f"{item} implements {one}" for one in item.interfaces if one.name not in interfaces)
        for name, field in item.fields.items():
            theirs = original.fields.get(name)
            if theirs is None or str(theirs.type) != str(field.type):
                yield f"{item}.{name}: {field.type}"
                continue
            for argument_name, argument in field.args.items():
                their_argument = theirs.args.get(argument_name)
                if their_argument is None or str(their_argument.type) != str(argument.type):
                    yield f"{item}.{name}({argument_name}: {argument.type})"
            missing = (name for name, one in theirs.args.items() if str(one.type).endswith("!"))
            yield from (f"{item}.{name}: lacks {one}" for one in missing if one not in field.args)
    elif isinstance(item, GraphQLInputObjectType):
        for name, field in item.fields.items():
            theirs = original.fields.get(name)
            if theirs is None or str(theirs.type) != str(field.type):
                yield f"{item}.{name}: {field.type}"
        required = (name for name, one in original.fields.items() if str(one.type).endswith("!"))
        yield from (f"{item}: lacks {name}" for name in required if name not in item.fields)
    elif isinstance(item, GraphQLEnumType):
        yield from (f"{item}: {value}" for value in item.values if value not in original.values)
    elif isinstance(item, GraphQLUnionType):
        members = {member.name for member in original.types}
        yield from (f"{item} = {member}" for member in item.types if member.name not in members)


def test_it_is_a_part_of_githubs() -> None:
    assert list(differences(load_schema(), published_schema())) == []


@pytest.mark.parametrize(
    ("schema", "difference"),
    [
        ("type Query { planet: String }", "Query.planet: String"),
        ("type Query { viewer: String! }", "Query.viewer: String!"),
        ("type Query { viewer: User } type User { login: String! }", "Query.viewer: User"),
        ("type Query { rateLimit(soon: Int): RateLimit } type RateLimit { cost: Int! }", "Query.rateLimit(soon: Int)"),
        (
            "type Query { repository(name: String!): Repository } type Repository { id: ID! }",
            "Query.repository: lacks owner",
        ),
        ("type Query { id: ID! } input Planet { name: String }", "Planet: GraphQLInputObjectType"),
        ("type Query { id: ID! } input AddCommentInput { subjectId: ID! }", "AddCommentInput: lacks body"),
        ("type Query { id: ID! } enum IssueState { OPEN LOST }", "IssueState: LOST"),
        ("type Query { id: ID! } type Label { id: ID! } union Closer = Label", "Closer = Label"),
        (
            "type Query { id: ID! } interface Actor { login: String! } type Label implements Actor { login: String! }",
            "Label implements Actor",
        ),
    ],
)
def test_what_github_has_not_is_seen(schema: str, difference: str) -> None:
    assert difference in list(differences(build_schema(schema), published_schema()))


def test_a_request_that_github_would_refuse_is_seen() -> None:
    assert request_problems("{ viewer { login } }", {}) == []
    assert request_problems("{ viewer { planet } }", {}) == ["Cannot query field 'planet' on type 'User'."]
    mutation = "mutation($sent: AddCommentInput!) { addComment(input: $sent) { clientMutationId } }"
    assert request_problems(mutation, {"sent": {"body": "a", "subjectId": "I_1"}}) == []
    [problem] = request_problems(mutation, {"sent": {"body": "a"}})
    assert "subjectId" in problem


ARGUMENTS = {
    "capabilities": "[CAN_BE_ASSIGNED]",
    "first": "5",
    "name": '"bug"',
    "number": "$number",
    "owner": '"acme"',
    "refPrefix": '"refs/heads/"',
}


def selection(item: GraphQLNamedType, depth: int) -> str:
    """All fields of a type and of its types below, each with its type in its alias."""
    if is_abstract_type(item):
        members = load_schema().get_possible_types(item)
        return " ".join(f"... on {member.name} {{ {selection(member, depth)} }}" for member in members)
    assert isinstance(item, GraphQLObjectType)
    fields = []
    for name, field in item.fields.items():
        inner, sent = (
            get_named_type(field.type),
            ", ".join(f"{key}: {ARGUMENTS[key]}" for key in field.args if key in ARGUMENTS),
        )
        call = f"{item.name}_{name}: {name}" + (f"({sent})" if sent else "")
        if is_leaf_type(inner):
            fields.append(call)
        elif depth:
            fields.append(f"{call} {{ {selection(inner, depth - 1)} }}")
    return " ".join(fields) or "__typename"


def answered(data: Any) -> set[str]:
    """The aliases in an answer."""
    if isinstance(data, list):
        return set().union(*(answered(item) for item in data))
    return set(data) | set().union(*(answered(value) for value in data.values())) if isinstance(data, dict) else set()


async def test_every_field_can_be_answered(stage: Stage) -> None:
    alice = stage.hub.user("alice")
    stage.hub.grant(stage.shop, alice, "write")
    issue = await alice.opens_issue(stage.shop, "a", labels=["bug"])
    await alice.comments(issue, "b")
    await alice.assigns(issue, alice)
    await alice.edits_issue(issue, title="c")
    await alice.unlabels(issue, "bug")
    await alice.closes(issue)
    await alice.reopens(issue)
    await alice.labels(issue, "bug")
    await alice.pushes(stage.shop, "task/1", {"cart.py": "print(2)\n"})
    pull = await alice.opens_pull(stage.shop, head="task/1", title="d", body="Closes #1")
    check = {"name": "ci", "head_sha": pull.head_sha, "status": "completed", "conclusion": "success"}
    await stage.call("POST", "/repos/acme/shop/check-runs", check)
    await stage.call("POST", f"/repos/acme/shop/statuses/{pull.head_sha}", {"state": "success"})
    comment = issue.comments[0]
    await stage.call("PATCH", f"/repos/acme/shop/issues/comments/{comment.id}", {"body": "e"})
    types = load_schema().type_map
    contexts = selection(types["StatusCheckRollupContext"], 2)
    checks = f"statusCheckRollup {{ contexts(first: 5) {{ nodes {{ {contexts} }} }} }}"
    query = f"""query($number: Int!) {{
      rateLimit {{ {selection(types["RateLimit"], 0)} }}
      viewer {{ {selection(types["User"], 0)} }}
      repository(owner: "acme", name: "shop") {{
        {selection(types["Repository"], 4)} pullRequest(number: $number) {{ {checks} }}
      }}
    }}"""
    aliases: set[str] = set()
    for number in (issue.number, pull.number):
        sent = {"query": query, "variables": {"number": number}}
        _, body, _ = await stage.call("POST", "/graphql", sent)
        assert {error["type"] for error in body.get("errors", ())} <= {"NOT_FOUND"}
        aliases |= answered(body["data"])
    fields = {
        f"{item.name}_{name}"
        for item in types.values()
        if isinstance(item, GraphQLObjectType) and not item.name.startswith(("__", "Query", "Mutation"))
        if not item.name.endswith(("Payload", "Edge"))
        for name in item.fields
    }
    assert fields - aliases == set()
