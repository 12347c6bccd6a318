"""Checks single settings. Messages follow the variable's name and never contain its value."""

import ipaddress
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import SecretStr

from config.agent_kinds import LOOPBACK_HOSTS
from config.problems import validation_error

# GitHub's own App keys have 2048 bits, and RS256 requires no less.
MIN_KEY_BITS: Final = 2048


@lru_cache(maxsize=8)
def _load_key(pem: str) -> PrivateKeyTypes:
    """The key of a PEM text. Checking its numbers takes 20 ms, so the result is cached."""
    return load_pem_private_key(pem.encode("utf-8", "replace"), password=None)


def private_key(value: SecretStr) -> SecretStr:
    """The PEM text with real line ends, after it was parsed as an RSA private key."""
    pem = value.get_secret_value().replace("\\n", "\n").strip() + "\n"
    try:
        key = _load_key(pem)
    except TypeError:
        raise validation_error("is encrypted with a password: give the key as GitHub made it") from None
    except (ValueError, UnsupportedAlgorithm):
        raise validation_error(
            "is not a private key in PEM form: give the whole text of the .pem file that GitHub made for the "
            "App, from -----BEGIN to -----END"
        ) from None
    if not isinstance(key, RSAPrivateKey):
        raise validation_error("is not an RSA key: give the private key that GitHub made for the App")
    if key.key_size < MIN_KEY_BITS:
        raise validation_error(
            f"has {key.key_size} bits but needs {MIN_KEY_BITS}: make a new one in the App's settings"
        )
    return SecretStr(pem)


def secrets(value: object) -> object:
    """`new,old` → both, in that order."""
    if not isinstance(value, str):
        return value
    parts = tuple(part.strip() for part in value.split(","))
    if not all(parts):
        raise validation_error("has an empty entry between its commas: give one secret, or several as new,old")
    return tuple(SecretStr(part) for part in parts)


def web_address(value: str) -> str:
    """An http(s) address without a slash at its end."""
    try:
        parts = urlsplit(value)
        is_usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        raise validation_error("is not an address: write one such as https://github.example.com") from None
    if not is_usable or not value.isascii() or not value.isprintable() or " " in value:
        raise validation_error("is not an address: write one such as https://github.example.com")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise validation_error("must be an address without user, password, ? and #")
    return value.rstrip("/")


def key_address(value: str) -> str:
    """An address that a key may be sent to: encrypted, or on this machine."""
    parts = urlsplit(value)
    if parts.scheme != "https" and parts.hostname not in LOOPBACK_HOSTS:
        raise validation_error("must begin with https:// because the bot sends a key there")
    return value


def secret_address(value: SecretStr) -> SecretStr:
    """An address that is itself a secret, such as an incoming webhook's; a query is allowed."""
    address = value.get_secret_value().strip()
    web_address(address.partition("?")[0])
    key_address(address)
    if not address.isascii() or not address.isprintable() or " " in address:
        raise validation_error("is not an address: write one such as https://hooks.example.com/T0/B0")
    return SecretStr(address)


def mail_address(value: str) -> str:
    """One e-mail address without a display name."""
    if len(value) > 254 or not re.fullmatch(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*", value):
        raise validation_error("must be an address such as team@example.com")
    return value


def mail_addresses(value: object) -> object:
    """`a@example.com,b@example.com` → both."""
    if not isinstance(value, str):
        return value
    return tuple(mail_address(part.strip()) for part in value.split(","))


def graphql_address(settings: Mapping[str, object]) -> str:
    """The GraphQL address for a REST address, on GitHub, GitHub Enterprise and compatible servers."""
    api = str(settings["github_api_url"])
    return f"{api.removesuffix('/v3')}/graphql" if api.endswith("/api/v3") else f"{api}/graphql"


def server_address(settings: Mapping[str, object]) -> str:
    """The address of git and the web pages for a REST address.

    It is never github.com if the API is another one: that server's tokens must not reach GitHub.
    """
    parts = urlsplit(str(settings["github_api_url"]))
    return f"{parts.scheme}://{parts.netloc.removeprefix('api.')}"


def database_address(value: SecretStr) -> SecretStr:
    """A PostgreSQL address, its scheme written as `postgresql`."""
    address = value.get_secret_value().strip()
    try:
        parts = urlsplit(address)
        is_usable = parts.scheme in {"postgres", "postgresql"} and parts.port != 0
    except ValueError:  # an invalid port or a broken IPv6 address
        is_usable = False
    if not is_usable or "://" not in address:
        raise validation_error(
            "must be an address such as postgresql://user:password@host:5432/name, special characters of the "
            "password as %XX: fix it, or remove it to use the embedded server"
        )
    return SecretStr("postgresql://" + address.split("://", 1)[1])


def directory(value: Path) -> Path:
    """An absolute directory, `~` expanded; it need not exist yet."""
    try:
        path = value.expanduser().absolute()
        is_not_directory = path.exists() and not path.is_dir()
    except (OSError, RuntimeError, ValueError):
        raise validation_error("cannot be used as a directory: write the full path") from None
    if is_not_directory:
        raise validation_error("is a file, not a directory: name a separate directory")
    return path


def host(value: str) -> str:
    """A host name or an IP address to listen on."""
    try:
        ipaddress.ip_address(value)
    except ValueError:
        if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?", value):
            raise validation_error("must be a host name or an IP address without port, such as 0.0.0.0") from None
    return value
