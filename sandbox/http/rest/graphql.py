"""REST: the endpoint of GraphQL."""

from __future__ import annotations

from sandbox.errors import ApiError
from sandbox.graphql.execution import execute
from sandbox.http.routes import Call, Reply, route


@route("POST", "/graphql", "graphql")
async def graphql(call: Call) -> Reply:
    """Answer a query; its errors are in `errors`, with status 200 as on GitHub."""
    if call.credential.kind in ("anonymous", "app"):
        raise ApiError(401, "This endpoint requires you to be authenticated.")
    variables = call.field("variables", dict, default={}) or {}
    name = call.text("operationName")
    return Reply(200, execute(call.hub, call.credential, call.required("query", str), name, variables))
