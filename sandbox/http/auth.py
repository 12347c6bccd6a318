"""Authenticate and authorize: App JWTs, installation tokens, personal tokens, tokens of workflow runs."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import jwt

from sandbox.errors import ApiError, not_accessible, not_found
from sandbox.hub import Hub
from sandbox.state.credentials import ANONYMOUS, Credential
from sandbox.state.models import Repository, Role, role_at_least

JWT_LIFETIME_SECONDS = 600  # seconds; GitHub refuses an App's JWT that lives longer
JWT_LEEWAY_SECONDS = 60  # seconds that a sender's clock may be ahead


def bad_credentials() -> ApiError:
    """401, as for a wrong, expired or revoked token."""
    return ApiError(401, "Bad credentials")


def authenticate(hub: Hub, header: str | None) -> Credential:
    """The credential of an Authorization header (`Bearer`, `token` or `Basic`). Raises ApiError 401."""
    if not header:
        return ANONYMOUS
    scheme, _, value = header.partition(" ")
    value = value.strip()
    if scheme.lower() == "basic":
        try:
            user, _, value = base64.b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise bad_credentials() from error
        value = value or user
    elif scheme.lower() not in ("bearer", "token"):
        raise bad_credentials()
    if value.count(".") == 2:
        return _authenticate_app(hub, value)
    return token_credential(hub, value)


def token_credential(hub: Hub, token: str) -> Credential:
    """The credential of a token. Raises ApiError 401 when unknown or expired, 403 when suspended."""
    credential = hub.credentials.get(token)
    if credential is None:
        raise bad_credentials()
    if credential.expires_at is not None and credential.expires_at <= hub.now():
        raise bad_credentials()
    if credential.installation is not None:
        if credential.installation.id not in hub.installations:
            raise bad_credentials()
        if credential.installation.suspended_at is not None:
            raise ApiError(403, "This installation has been suspended")
    return credential


def _authenticate_app(hub: Hub, token: str) -> Credential:
    decode_error = ApiError(401, "A JSON web token could not be decoded")
    try:
        claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    except jwt.PyJWTError as error:
        raise decode_error from error
    issuer = str(claims.get("iss", ""))
    app = next((app for app in hub.apps.values() if issuer in (str(app.id), app.client_id)), None)
    if app is None:
        raise (
            ApiError(401, "'Issuer' claim ('iss') must be an Integer or a client ID that matches an App")
            if not issuer
            else ApiError(404, "Integration not found")
        )
    try:
        # The times are checked below, by the sandbox's clock.
        options: Any = {"verify_exp": False, "verify_iat": False, "verify_nbf": False}
        jwt.decode(token, app.public_key, algorithms=["RS256"], options=options)
    except jwt.PyJWTError as error:
        raise decode_error from error
    issued_at, expires_at, now = claims.get("iat"), claims.get("exp"), hub.now().timestamp()
    if not isinstance(expires_at, int | float):
        raise ApiError(401, "Missing 'expiration' claim ('exp')")
    if not isinstance(issued_at, int | float):
        raise ApiError(401, "Missing 'issued at' claim ('iat')")
    if issued_at > now + JWT_LEEWAY_SECONDS:
        raise ApiError(
            401,
            "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued",
        )
    if expires_at <= now:
        raise ApiError(
            401,
            "'Expiration time' claim ('exp') must be a numeric value representing the future time "
            "at which the assertion expires",
        )
    if (
        expires_at > now + JWT_LIFETIME_SECONDS + JWT_LEEWAY_SECONDS
        or expires_at - issued_at > JWT_LIFETIME_SECONDS + JWT_LEEWAY_SECONDS
    ):
        raise ApiError(401, "'Expiration time' claim ('exp') is too far in the future")
    return Credential("app", user=app.bot, app=app)


def default_role(permission: str) -> Role:
    """The role a person needs where an App needs this permission."""
    roles: dict[str, Role] = {"read": "read", "write": "write", "admin": "admin"}
    return roles[permission.partition("|")[0].partition(":")[2]]


def check_permission(
    credential: Credential, repository: Repository | None, permission: str | None, role: Role | None
) -> None:
    """Raise the ApiError that GitHub answers when the sender may not do this."""
    if permission is None:
        return
    if permission == "jwt":
        if credential.kind != "app":
            raise ApiError(401, "A JSON web token could not be decoded")
        return
    if credential.kind == "app":
        raise ApiError(403, "You must authenticate with an installation access token in order to access the API")
    if permission == "user":
        if credential.kind == "anonymous":
            raise ApiError(401, "Requires authentication")
        if credential.kind != "user":
            raise not_accessible()
        return
    if permission == "installation":
        if credential.kind != "installation":
            raise ApiError(403, "You must authenticate with an installation access token")
        return
    if credential.kind in ("installation", "run"):
        if repository is not None and not credential.has_access(repository):
            # A public repository without the App can be read, as by anyone.
            if not permission.endswith(":read"):
                raise not_accessible()
        elif not credential.has_permission(permission):
            raise not_accessible()
        return
    if repository is None:
        return
    required_role = role or default_role(permission)
    if credential.user is None:
        if not permission.endswith(":read"):
            raise ApiError(401, "Requires authentication")
        return
    if not role_at_least(repository.role_of(credential.user), required_role):
        # GitHub hides what a person may not administer with 404 and answers 403 otherwise.
        raise not_found() if required_role in ("admin",) else ApiError(403, "Must have admin rights to Repository.")
