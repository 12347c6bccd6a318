"""Apps, installations, their tokens, and the log of webhook deliveries."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sandbox.clock import timestamp, timestamp_or_none
from sandbox.errors import ApiError, invalid_request, not_found
from sandbox.http.routes import Call, Reply, route
from sandbox.serializers import issues as issue_serializer
from sandbox.services import installations
from sandbox.state.credentials import LEVELS
from sandbox.state.deliveries import Delivery
from sandbox.state.models import App, Installation, Repository

DELIVERY_RETENTION = timedelta(days=3)  # how long GitHub stores a delivery


@route("GET", "/app", "apps/get-authenticated", permission="jwt")
async def get_app(call: Call) -> Reply:
    """The App itself."""
    app = _authenticated_app(call)
    count = sum(1 for installation in call.hub.installations.values() if installation.app is app)
    return Reply(200, {**issue_serializer.app(call.hub, app), "installations_count": count})


@route("GET", "/apps/{app_slug}", "apps/get-by-slug")
async def get_app_by_slug(call: Call) -> Reply:
    """An App by its slug."""
    slug = call.params["app_slug"]
    app = call.hub.actions_app if slug == call.hub.actions_app.slug else call.hub.apps.get(slug)
    if app is None:
        raise not_found()
    return Reply(200, issue_serializer.app(call.hub, app))


@route("POST", "/app-manifests/{code}/conversions", "apps/create-from-manifest")
async def convert_manifest(call: Call) -> Reply:
    """Convert a confirmed manifest into an App; the only response with its secrets."""
    app = call.hub.app_from_manifest(call.params["code"])
    if app is None:
        raise not_found()
    secrets = {
        "client_id": app.client_id,
        "client_secret": f"{call.hub.random.getrandbits(160):040x}",
        "webhook_secret": app.secret,
        "pem": app.private_key,
    }
    return Reply(201, issue_serializer.app(call.hub, app) | secrets)


@route("GET", "/app/installations", "apps/list-installations", permission="jwt")
async def list_installations(call: Call) -> Reply:
    """The App's installations."""
    app = _authenticated_app(call)
    app_installations = [installation for installation in call.hub.installations.values() if installation.app is app]
    return call.paginate(app_installations, lambda installation: issue_serializer.installation(call.hub, installation))


@route("GET", "/app/installations/{installation_id}", "apps/get-installation", permission="jwt")
async def get_installation(call: Call) -> Reply:
    """One installation."""
    return Reply(200, issue_serializer.installation(call.hub, _find_installation(call)))


@route("DELETE", "/app/installations/{installation_id}", "apps/delete-installation", permission="jwt")
async def delete_installation(call: Call) -> Reply:
    """Uninstall."""
    installations.delete(call.hub, _find_installation(call), sender=call.actor)
    return Reply(204)


@route("PUT", "/app/installations/{installation_id}/suspended", "apps/suspend-installation", permission="jwt")
async def suspend_installation(call: Call) -> Reply:
    """Suspend: tokens are refused, webhooks stop."""
    installations.suspend(call.hub, _find_installation(call), call.actor)
    return Reply(204)


@route(
    "DELETE",
    "/app/installations/{installation_id}/suspended",
    "apps/unsuspend-installation",
    permission="jwt",
)
async def unsuspend_installation(call: Call) -> Reply:
    """Unsuspend."""
    installations.unsuspend(call.hub, _find_installation(call), call.actor)
    return Reply(204)


@route("GET", "/repos/{owner}/{repo}/installation", "apps/get-repo-installation", permission="jwt")
async def get_repository_installation(call: Call) -> Reply:
    """The installation that reaches a repository."""
    installation = call.hub.installation_of(_authenticated_app(call), call.repository)
    if installation is None:
        raise not_found()
    return Reply(200, issue_serializer.installation(call.hub, installation))


@route(
    "POST",
    "/app/installations/{installation_id}/access_tokens",
    "apps/create-installation-access-token",
    permission="jwt",
)
async def create_token(call: Call) -> Reply:
    """Create a token for an installation, limited as the body asks."""
    installation = _find_installation(call)
    if installation.suspended_at is not None:
        raise ApiError(403, "This installation has been suspended")
    permissions = _token_permissions(call, installation)
    repositories = _token_repositories(call, installation)
    token = call.hub.create_installation_token(installation, permissions=permissions, repositories=repositories)
    credential = call.hub.credentials[token]
    body: dict[str, Any] = {
        "token": token,
        "expires_at": timestamp_or_none(credential.expires_at),
        "permissions": dict(permissions),
        "repository_selection": installation.selection if repositories is None else "selected",
    }
    if repositories is not None:
        body["repositories"] = [issue_serializer.repository(call.hub, repository) for repository in repositories]
    return Reply(201, body)


@route("DELETE", "/installation/token", "apps/revoke-installation-access-token", permission="installation")
async def revoke_token(call: Call) -> Reply:
    """Revoke the token of this request."""
    call.hub.revoke_token(call.credential.token)
    return Reply(204)


@route(
    "GET",
    "/installation/repositories",
    "apps/list-repos-accessible-to-installation",
    permission="installation",
)
async def list_repositories(call: Call) -> Reply:
    """The repositories that the token reaches."""
    accessible = [
        repository
        for repository in call.hub.repositories_of(call.installation)
        if call.credential.has_access(repository)
    ]
    return call.paginate(
        accessible,
        lambda repository: _without(issue_serializer.repository(call.hub, repository), "custom_properties"),
        key="repositories",
        extra={"repository_selection": call.installation.selection},
    )


# The log of deliveries


@route("GET", "/app/hook/config", "apps/get-webhook-config-for-app", permission="jwt")
async def hook_config(call: Call) -> Reply:
    """The webhook's configuration."""
    return Reply(200, _hook_config_payload(_authenticated_app(call)))


@route("PATCH", "/app/hook/config", "apps/update-webhook-config-for-app", permission="jwt")
async def update_hook_config(call: Call) -> Reply:
    """Change the webhook's address or secret."""
    app = _authenticated_app(call)
    app.webhook_url = call.text("url") or app.webhook_url
    app.secret = call.text("secret") or app.secret
    return Reply(200, _hook_config_payload(app))


@route("GET", "/app/hook/deliveries", "apps/list-webhook-deliveries", permission="jwt")
async def list_deliveries(call: Call) -> Reply:
    """Attempts of the last three days, newest first, page by page with a cursor."""
    deliveries = _app_deliveries(call)
    cursor = call.query.get("cursor")
    if cursor is not None:
        positions = [position for position, delivery in enumerate(deliveries) if f"v1_{delivery.id}" == cursor]
        if not positions:
            raise ApiError(422, "The cursor is not one that was given in a Link header")
        deliveries = deliveries[positions[0] + 1 :]
    status = call.query.get("status")
    if status is not None:  # by the class of the code: a redirection, which is not followed, counts as a success here
        deliveries = [
            delivery for delivery in deliveries if (200 <= delivery.status_code < 400) == (status == "success")
        ]
    per_page = call.query.get("per_page", "30")
    size = min(max(int(per_page) if per_page.isdigit() else 30, 1), 100)
    headers = {}
    if len(deliveries) > size:
        next_query = f"per_page={size}&cursor=v1_{deliveries[size - 1].id}" + (f"&status={status}" if status else "")
        headers["Link"] = f'<{call.hub.url}/app/hook/deliveries?{next_query}>; rel="next"'
    return Reply(200, [_delivery_payload(delivery) for delivery in deliveries[:size]], headers)


@route("GET", "/app/hook/deliveries/{delivery_id}", "apps/get-webhook-delivery", permission="jwt")
async def get_delivery(call: Call) -> Reply:
    """One delivery with what was sent and answered."""
    delivery = _find_delivery(call)
    return Reply(
        200,
        _delivery_payload(delivery)
        | {
            "url": delivery.url,
            "request": {"headers": delivery.headers, "payload": delivery.payload},
            "response": {"headers": delivery.response_headers, "payload": delivery.response_body},
        },
    )


@route("POST", "/app/hook/deliveries/{delivery_id}/attempts", "apps/redeliver-webhook-delivery", permission="jwt")
async def redeliver(call: Call) -> Reply:
    """Send it again, with the same GUID."""
    call.hub.queue_redelivery(_find_delivery(call))
    return Reply(202, {})


def _authenticated_app(call: Call) -> App:
    if call.credential.app is None:
        raise ApiError(401, "A JSON web token could not be decoded")
    return call.credential.app


def _find_installation(call: Call) -> Installation:
    installation = call.hub.installations.get(call.number("installation_id"))
    if installation is None or installation.app is not call.credential.app:
        raise not_found()
    return installation


def _token_permissions(call: Call, installation: Installation) -> dict[str, str]:
    requested = call.field("permissions", dict)
    if not requested:
        return dict(installation.permissions)
    for name, level in requested.items():
        granted = installation.permissions.get(name, "none")
        if level not in LEVELS or LEVELS.index(level) > LEVELS.index(granted):
            raise ApiError(422, "The permissions requested are not granted to this installation.")
    return {"metadata": "read", **requested}


def _token_repositories(call: Call, installation: Installation) -> list[Repository] | None:
    ids, names = call.field("repository_ids", list), call.field("repositories", list)
    if ids is None and names is None:
        return None
    accessible = call.hub.repositories_of(installation)
    repositories = [
        repository for repository in accessible if repository.id in (ids or []) or repository.name in (names or [])
    ]
    if len(repositories) != len({*(ids or []), *(names or [])}):
        raise ApiError(
            422,
            "There is at least one repository that does not exist or is not accessible to the parent installation.",
        )
    if not repositories:
        raise invalid_request("No repository was named.")
    return repositories


def _find_delivery(call: Call) -> Delivery:
    delivery_id = call.number("delivery_id")
    for delivery in _app_deliveries(call):
        if delivery.id == delivery_id:
            return delivery
    raise not_found()


def _app_deliveries(call: Call) -> list[Delivery]:
    """The App's completed attempts that GitHub still stores, newest first."""
    app, since = _authenticated_app(call), call.hub.now() - DELIVERY_RETENTION
    recent = [
        (delivery.delivered_at, delivery)
        for delivery in call.hub.deliveries
        if delivery.app is app and delivery.delivered_at is not None and delivery.delivered_at >= since
    ]
    recent.sort(key=lambda pair: pair[0])  # entries of the same moment keep the order of the log
    return [delivery for _, delivery in reversed(recent)]


def _delivery_payload(delivery: Delivery) -> dict[str, Any]:
    return {
        "id": delivery.id,
        "guid": delivery.guid,
        "delivered_at": timestamp(delivery.delivered_at or delivery.created_at),
        "redelivery": delivery.redelivery,
        "duration": delivery.duration,
        "status": delivery.status,
        "status_code": delivery.status_code,
        "event": delivery.event,
        "action": delivery.action,
        "installation_id": delivery.installation_id,
        "repository_id": delivery.repository_id,
        "throttled_at": timestamp_or_none(delivery.throttled_at),
    }


def _hook_config_payload(app: App) -> dict[str, Any]:
    body: dict[str, Any] = {"content_type": "json", "insecure_ssl": "0"}
    if app.webhook_url is not None:
        body["url"] = app.webhook_url
    return body | ({"secret": "********"} if app.secret is not None else {})


def _without(body: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name != key}
