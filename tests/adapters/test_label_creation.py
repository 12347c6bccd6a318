"""Labels of ours are made when the repository lacks them: many in one request, and none is in the way of another."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.github.errors import GraphQLError
from config.labels import CLASSES, PRIORITIES, TASK, LabelDefinition
from tests.adapters.github_server import INSTALLATION, github_server, respond_in_turn

REPO = "acme/shop"
Reply = tuple[int, object, dict[str, str]]
NODE: Reply = (200, {"data": {"repository": {"id": "R_1"}}}, {})
NO_SUCH_FIELD = {"errors": [{"message": "Field 'createLabel' doesn't exist on type 'Mutation'"}]}


def listed(*names: str) -> Reply:
    """The answer to a look at the repository's labels."""
    return 200, [{"id": n, "name": name, "color": "ededed"} for n, name in enumerate(names, 1)], {}


def made(*ids: str | None) -> dict[str, Any]:
    """The data of a mutation: an id for each label that was made, None for one that was refused."""
    return {f"w{n}": {"label": {"id": one}} if one else None for n, one in enumerate(ids)}


async def test_those_that_the_repository_lacks_are_made_in_one_request() -> None:
    async with github_server() as (server, client):
        server.handler = respond_in_turn(listed("Task", "p1"), NODE, (200, {"data": made("L_0", "L_2")}, {}))
        await client.installation(INSTALLATION).ensure_labels(REPO, (TASK, *PRIORITIES))
        [_, _, mutation] = server.api_requests
    sent: Any = mutation.body
    assert sent["query"].count("createLabel(input:") == 2
    looks = [(one["repositoryId"], one["name"], one["color"]) for one in sent["variables"].values()]
    assert looks == [("R_1", "P0", PRIORITIES[0].colour), ("R_1", "P2", PRIORITIES[2].colour)]


async def test_when_all_are_there_nothing_is_written() -> None:
    async with github_server() as (server, client):
        server.handler = respond_in_turn(listed("task"))
        await client.installation(INSTALLATION).ensure_labels(REPO, (TASK,))
        assert len(server.api_requests) == 1


async def test_one_that_is_refused_stops_no_other() -> None:
    taken = {"type": "UNPROCESSABLE", "path": ["w1"], "message": "Name has already been taken"}
    async with github_server() as (server, client):
        server.handler = respond_in_turn((200, {"data": made("L_0", None, "L_2"), "errors": [taken]}, {}))
        ids = await client.installation(INSTALLATION).create_labels("R_1", PRIORITIES)
    assert ids == {"P0": "L_0", "P2": "L_2"}


async def test_when_all_are_taken_there_is_nothing_to_do() -> None:
    taken = [{"type": "UNPROCESSABLE", "path": [f"w{n}"], "message": "Name has already been taken"} for n in (0, 1)]
    async with github_server() as (server, client):
        server.handler = respond_in_turn((200, {"data": made(None, None), "errors": taken}, {}))
        assert await client.installation(INSTALLATION).create_labels("R_1", CLASSES) == {}


async def test_a_server_whose_graphql_makes_no_labels_is_asked_one_by_one() -> None:
    answers: list[Reply] = [
        (201, {"id": 1, "name": "x", "color": "ededed"}, {}),
        (422, {"message": "Validation Failed"}, {}),
    ]
    async with github_server() as (server, client):
        server.handler = respond_in_turn(listed(), NODE, (200, NO_SUCH_FIELD, {}), *answers)
        await client.installation(INSTALLATION).ensure_labels(REPO, CLASSES)
        posted = [asked.body for asked in server.api_requests if asked.path.endswith("/labels")]
    assert [body["name"] for body in posted if isinstance(body, dict)] == [label.name for label in CLASSES]


async def test_a_server_without_the_mutation_is_reported() -> None:
    async with github_server() as (server, client):
        server.handler = respond_in_turn((200, NO_SUCH_FIELD, {}))
        with pytest.raises(GraphQLError):
            await client.installation(INSTALLATION).create_labels(
                "R_1", (LabelDefinition("task", "ededed", "w" * 200),)
            )
        sent: Any = server.api_requests[0].body
    assert len(sent["variables"]["w0"]["description"]) == 100
