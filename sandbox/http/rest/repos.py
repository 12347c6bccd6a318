"""The repository itself and its collaborators."""

from __future__ import annotations

from typing import Any

from sandbox.errors import ApiError, not_found
from sandbox.http.routes import Call, Reply, route
from sandbox.serializers import issues as issue_serializer
from sandbox.state.models import Role, User

REPO = "/repos/{owner}/{repo}"
COLLABORATOR = REPO + "/collaborators/{username}"
# The older of the two fields has neither triage nor maintain.
LEGACY_PERMISSIONS: dict[Role, str] = {
    "none": "none",
    "read": "read",
    "triage": "read",
    "write": "write",
    "maintain": "write",
    "admin": "admin",
}
PERMISSION_ROLES: dict[str, Role] = {
    "pull": "read",
    "triage": "triage",
    "push": "write",
    "maintain": "maintain",
    "admin": "admin",
}


@route("GET", REPO, "repos/get", permission="metadata:read")
async def get_repository(call: Call) -> Reply:
    """The repository."""
    viewer = call.credential.user if call.credential.kind == "user" else None
    return Reply(200, issue_serializer.full_repository(call.hub, call.repository, viewer))


@route("GET", REPO + "/collaborators", "repos/list-collaborators", permission="metadata:read", role="write")
async def list_collaborators(call: Call) -> Reply:
    """The people with a role here."""
    people = [person for person in call.hub.users.values() if call.repository.is_collaborator(person)]
    permission = call.query.get("permission")
    if permission is not None:
        people = [person for person in people if issue_serializer.permissions(call.repository, person).get(permission)]
    return call.paginate(people, lambda person: _collaborator_payload(call, person))


@route("GET", COLLABORATOR, "repos/check-collaborator", permission="metadata:read")
async def check_collaborator(call: Call) -> Reply:
    """204 for a collaborator, 404 for other people."""
    person = call.hub.users.get(call.params["username"].lower())
    if person is None or not call.repository.is_collaborator(person):
        raise not_found()
    return Reply(204)


@route("PUT", COLLABORATOR, "repos/add-collaborator", permission="administration:write", role="admin")
async def add_collaborator(call: Call) -> Reply:
    """Give a person a role; in the sandbox every invitation counts as accepted (204)."""
    person = call.hub.users.get(call.params["username"].lower())
    if person is None:
        raise not_found()
    permission_name = call.text("permission") or "push"
    if permission_name not in PERMISSION_ROLES:
        raise ApiError(422, f"{permission_name!r} is not a permission: {', '.join(PERMISSION_ROLES)}")
    call.hub.grant(call.repository, person, PERMISSION_ROLES[permission_name])
    return Reply(204)


@route("DELETE", COLLABORATOR, "repos/remove-collaborator", permission="administration:write", role="admin")
async def remove_collaborator(call: Call) -> Reply:
    """Take a person's role away."""
    person = call.hub.users.get(call.params["username"].lower())
    if person is not None:
        call.hub.grant(call.repository, person, "none")
    return Reply(204)


@route("GET", COLLABORATOR + "/permission", "repos/get-collaborator-permission-level", permission="metadata:read")
async def get_collaborator_permission(call: Call) -> Reply:
    """A person's permission here; 404 for a login that is not a person's."""
    login = call.params["username"]
    person = call.hub.users.get(login.lower())
    if person is None or person.type != "User":
        raise ApiError(404, f"{login} is not a user")
    role = call.repository.role_of(person)
    user = _collaborator_payload(call, person) | {"role_name": role}
    return Reply(200, {"permission": LEGACY_PERMISSIONS[role], "role_name": role, "user": user})


def _collaborator_payload(call: Call, person: User) -> dict[str, Any]:
    return issue_serializer.user(call.hub, person) | {
        "permissions": issue_serializer.permissions(call.repository, person),
        "role_name": call.repository.role_of(person),
    }
