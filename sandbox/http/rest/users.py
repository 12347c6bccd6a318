"""Users, the authenticated user, rate limits and metadata."""

from __future__ import annotations

from typing import Any

from sandbox.clock import timestamp
from sandbox.errors import not_found
from sandbox.http.routes import Call, Reply, route
from sandbox.serializers import issues as issue_serializer
from sandbox.state.models import Account, User


@route("GET", "/user", "users/get-authenticated", permission="user")
async def get_authenticated_user(call: Call) -> Reply:
    """The authenticated user."""
    private = {
        "private_gists": 0,
        "total_private_repos": 0,
        "owned_private_repos": 0,
        "disk_usage": 0,
        "collaborators": 0,
        "two_factor_authentication": True,
    }
    return Reply(200, _full_user(call, call.actor) | private)


@route("GET", "/users/{username}", "users/get-by-username")
async def get_user(call: Call) -> Reply:
    """A person, bot or organisation."""
    account = call.hub.account(call.params["username"])
    if account is None:
        raise not_found()
    return Reply(200, _full_user(call, account))


@route("GET", "/rate_limit", "rate-limit/get")
async def get_rate_limit(call: Call) -> Reply:
    """The remaining rate limits; this request is not counted."""
    now, sender = call.hub.now(), call.credential.rate_limit_key
    resources = {
        name: call.hub.usage_counter.bucket(sender, name, now).as_json() for name in ("core", "search", "graphql")
    }
    return Reply(200, {"resources": resources, "rate": resources["core"]})


@route("GET", "/meta", "meta/get")
async def get_meta(call: Call) -> Reply:
    """GitHub's metadata; here, that everything runs on this machine."""
    local = ["127.0.0.1/32"]
    body = {
        "verifiable_password_authentication": False,
        "hooks": local,
        "web": local,
        "api": local,
        "git": local,
        "actions": local,
    }
    return Reply(200, body)


def _full_user(call: Call, account: Account) -> dict[str, Any]:
    person = account if isinstance(account, User) else None
    return issue_serializer.user(call.hub, account) | {
        "name": person.name if person else None,
        "company": None,
        "blog": "",
        "location": None,
        "email": person.email if person else None,
        "hireable": None,
        "bio": None,
        "public_repos": sum(
            1 for repository in call.hub.repositories.values() if repository.owner is account and not repository.private
        ),
        "public_gists": 0,
        "followers": 0,
        "following": 0,
        "created_at": timestamp(account.created_at),
        "updated_at": timestamp(account.created_at),
    }
