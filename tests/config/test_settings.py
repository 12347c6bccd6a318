"""Settings: what starts the service, what stops it, and that no secret is ever said aloud."""

import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from pydantic import ValidationError

from config.settings import Settings, SettingsError, load_settings


def pem(key: PrivateKeyTypes, encryption: KeySerializationEncryption | None = None) -> str:
    """The key as GitHub hands it out (PKCS#1), or as PKCS#8 when it is encrypted."""
    form = PrivateFormat.PKCS8 if encryption else PrivateFormat.TraditionalOpenSSL
    return key.private_bytes(Encoding.PEM, form, encryption or NoEncryption()).decode()


KEY = rsa.generate_private_key(65_537, 2048)
PEM = pem(KEY)
WEAK_KEY = rsa.generate_private_key(65_537, 1024)  # noqa: S505 - weak on purpose, to be refused
NEEDED = {"GITHUB_APP_ID": "12", "GITHUB_PRIVATE_KEY": PEM, "GITHUB_WEBHOOK_SECRET": "correct horse"}


def load(**changes: str) -> Settings:
    return load_settings({**NEEDED, **changes}, None)


def problems(**changes: str) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        load(**changes)
    assert str(caught.value).splitlines() == list(caught.value.problems), "one line for each problem"
    return caught.value.problems


def test_three_variables_are_enough() -> None:
    settings = load()
    assert settings.github_app_id == 12
    assert settings.github_private_key.get_secret_value() == PEM
    assert [secret.get_secret_value() for secret in settings.github_webhook_secret] == ["correct horse"]
    assert settings.github_api_url == "https://api.github.com"
    assert settings.github_graphql_url == "https://api.github.com/graphql"
    assert settings.github_server_url == "https://github.com"
    assert settings.database_url is None
    assert (settings.host, settings.port, settings.log_level) == ("127.0.0.1", 8080, "INFO")
    assert (settings.workers, settings.scheduler_interval_seconds) == (8, 1.0)


def test_nothing_set_names_each_missing_variable_once() -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({"GITHUB_APP_ID": " "}, None)
    assert [line.split(" is missing: ")[0] for line in caught.value.problems] == [
        "GITHUB_APP_ID",
        "GITHUB_PRIVATE_KEY",
        "GITHUB_WEBHOOK_SECRET",
    ]


def test_a_key_on_one_line_with_escaped_line_ends() -> None:
    assert load(GITHUB_PRIVATE_KEY=PEM.replace("\n", "\\n")).github_private_key.get_secret_value() == PEM


def test_a_key_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "app.pem"
    file.write_text(PEM)
    settings = load(GITHUB_PRIVATE_KEY="", GITHUB_PRIVATE_KEY_PATH=str(file))
    assert settings.github_private_key.get_secret_value() == PEM


@pytest.mark.parametrize("content", [b"no key at all", b"\xff\xfe", b"", None])
def test_a_key_file_that_is_none(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "app.pem"
    if content is not None:
        file.write_bytes(content)
    (line,) = problems(GITHUB_PRIVATE_KEY="", GITHUB_PRIVATE_KEY_PATH=str(file))
    assert line.startswith("GITHUB_PRIVATE_KEY_PATH names a file that ")


def test_two_keys_are_one_too_many(tmp_path: Path) -> None:
    assert problems(GITHUB_PRIVATE_KEY_PATH=str(tmp_path)) == (
        "GITHUB_PRIVATE_KEY and GITHUB_PRIVATE_KEY_PATH are both set: keep one of them",
    )


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("-----BEGIN RSA PRIVATE KEY-----\nnonsense\n-----END RSA PRIVATE KEY-----", "is not a private key"),
        ("s3cret-that-is-no-key \ud800", "is not a private key"),
        (pem(ec.generate_private_key(ec.SECP256R1())), "is not an RSA key"),
        (pem(WEAK_KEY), "has 1024 bits but needs 2048"),
        (pem(KEY, BestAvailableEncryption(b"password")), "is encrypted with a password"),
    ],
)
def test_a_key_that_cannot_sign(key: str, expected: str) -> None:
    (line,) = problems(GITHUB_PRIVATE_KEY=key)
    assert line.startswith(f"GITHUB_PRIVATE_KEY {expected}")


def test_secrets_are_rotated_with_a_comma() -> None:
    found = load(GITHUB_WEBHOOK_SECRET="new, old").github_webhook_secret
    assert [secret.get_secret_value() for secret in found] == ["new", "old"]


@pytest.mark.parametrize("secret", [",", "new,", "new,,old", " , old"])
def test_no_secret_is_empty(secret: str) -> None:
    (line,) = problems(GITHUB_WEBHOOK_SECRET=secret)
    assert line.startswith("GITHUB_WEBHOOK_SECRET has an empty entry")


@pytest.mark.parametrize(
    ("api", "graphql", "server"),
    [
        (
            "https://github.example.com/api/v3/",
            "https://github.example.com/api/graphql",
            "https://github.example.com",
        ),
        ("https://api.acme.example.com", "https://api.acme.example.com/graphql", "https://acme.example.com"),
        ("http://127.0.0.1:4000", "http://127.0.0.1:4000/graphql", "http://127.0.0.1:4000"),
    ],
)
def test_the_other_addresses_follow_the_api(api: str, graphql: str, server: str) -> None:
    settings = load(GITHUB_API_URL=api)
    assert (settings.github_graphql_url, settings.github_server_url) == (graphql, server)
    assert load(GITHUB_API_URL=api, GITHUB_SERVER_URL="https://git.x/").github_server_url == "https://git.x"


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("ALERT_WEBHOOK_URL", "http://hooks.example.com/x", "must begin with https://"),
        ("ALERT_SLACK_URL", "hooks.example.com", "is not an address"),
        ("SMTP_PORT", "0", "must be at least 1"),
        ("SMTP_ENCRYPTION", "ssl", "must be one of starttls, tls or none"),
        ("ALERT_EMAIL_TO", "a@example.com, Bob <b@example.com>", "must be an address such as team@example.com"),
        ("ALERT_EMAIL_FROM", "bot@example.com\nBcc: x@example.com", "must be an address such as team@example.com"),
        ("GITHUB_APP_ID", "Iv1.abc", "must be a whole number"),
        ("GITHUB_APP_ID", "0", "must be more than 0"),
        ("GITHUB_API_URL", "api.github.com", "is not an address"),
        ("GITHUB_API_URL", "http://[::1", "is not an address"),
        ("GITHUB_API_URL", "https://user:pass@api.github.com", "must be an address without user"),
        ("GITHUB_GRAPHQL_URL", "ftp://x", "is not an address"),
        ("GITHUB_SERVER_URL", "https://github.com/?x=1", "must be an address without user"),
        ("DATABASE_URL", "mysql://user:pass@host/name", "must be an address such as postgresql://"),
        ("DATABASE_URL", "postgres:host", "must be an address such as postgresql://"),
        (
            "DATABASE_URL",
            "postgresql://user:pa/ss@host:port/name",
            "must be an address such as postgresql://",
        ),
        ("DATA_DIR", __file__, "is a file, not a directory"),
        ("DATA_DIR", "~no-user-has-this-name/data", "cannot be used as a directory"),
        ("HOST", "0.0.0.0:8080", "must be a host name or an IP address without port"),
        ("HOST", "http://x", "must be a host name or an IP address without port"),
        ("PORT", "65536", "must be at most 65535"),
        ("PORT", "http", "must be a whole number"),
        ("LOG_LEVEL", "loud", "must be one of DEBUG, INFO, WARNING, ERROR or CRITICAL"),
        ("WORKERS", "0", "must be at least 1"),
        ("WORKERS", "9" * 5000, "must be a whole number"),
        ("SCHEDULER_INTERVAL_SECONDS", "nan", "must be a number"),
        ("SCHEDULER_INTERVAL_SECONDS", "soon", "must be a number"),
        ("CURSOR_API_URL", "http://proxy.example", "must begin with https:// because the bot sends a key there"),
        ("DEVIN_API_URL", "proxy", "is not an address"),
        ("ALLOW_INTERNAL_AGENT_URLS", "perhaps", "must be true or false"),
    ],
)
def test_a_senseless_setting_is_named_with_what_to_do(variable: str, value: str, expected: str) -> None:
    (line,) = problems(**{variable: value})
    assert line.startswith(f"{variable} {expected}")


def test_all_mistakes_come_together() -> None:
    found = problems(GITHUB_APP_ID="x", GITHUB_PRIVATE_KEY="", GITHUB_PRIVATE_KEY_PATH="/nowhere/x.pem", PORT="-1")
    assert [line.split(" ", 1)[0] for line in found] == ["GITHUB_PRIVATE_KEY_PATH", "GITHUB_APP_ID", "PORT"]


def test_secrets_are_never_shown() -> None:
    settings = load(DATABASE_URL="postgres://me:hunter2@host/name", GITHUB_WEBHOOK_SECRET="hunter2")
    shown = f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"
    assert "hunter2" not in shown
    assert PEM.splitlines()[1] not in shown
    with pytest.raises(SettingsError) as caught:
        load(GITHUB_PRIVATE_KEY="hunter2", DATABASE_URL="x://me:hunter2@h", GITHUB_WEBHOOK_SECRET="hunter2,")
    error: BaseException | None = caught.value
    assert "hunter2" not in str(error)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None, "a traceback must not carry the values along"


def test_channels_are_set_up_with_several_people_and_an_address_that_is_a_secret() -> None:
    found = load(
        ALERT_EMAIL_TO="a@example.com, b@example.com", ALERT_SLACK_URL="https://hooks.example.com/T0/B0?x=s3cret"
    )
    assert found.alert_email_to == ("a@example.com", "b@example.com")
    assert "s3cret" not in repr(found)


def test_the_database_address_has_the_scheme_that_libraries_know() -> None:
    url = load(DATABASE_URL="postgres://me:p%40ss@host:5432/name").database_url
    assert url is not None
    assert url.get_secret_value() == "postgresql://me:p%40ss@host:5432/name"


def test_the_env_file_completes_the_environment(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    quoted = PEM.replace("\n", "\\n")
    file.write_text(f'# mine\nGITHUB_APP_ID=1\nGITHUB_PRIVATE_KEY="{quoted}"\nGITHUB_WEBHOOK_SECRET=abc\nPORT=\n')
    settings = load_settings({"GITHUB_APP_ID": "2", "GITHUB_WEBHOOK_SECRET": ""}, file)
    assert settings.github_app_id == 2, "the environment wins"
    assert settings.github_webhook_secret[0].get_secret_value() == "abc", "an empty variable is absent"
    assert settings.port == 8080


def test_an_env_file_that_cannot_be_read(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_bytes(b"\xff\xfeA=1")
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings(NEEDED, file)
    assert load_settings(NEEDED, tmp_path / "none.env").github_app_id == 12


def test_the_process_environment_is_used_when_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in NEEDED.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("WORKERS", "3")
    assert load_settings(env_file=None).workers == 3
    assert load().workers == 8, "a given environment is the only one"


def test_where_the_data_goes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert load().data_dir == Path("/var/lib/mcp-orchestrator")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert load().data_dir == Path.home() / ".local/share/mcp-orchestrator"
    assert load(XDG_DATA_HOME=str(tmp_path)).data_dir == tmp_path / "mcp-orchestrator"
    monkeypatch.chdir(tmp_path)
    assert load(DATA_DIR="here").data_dir == tmp_path / "here"


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError):
        Settings.__setattr__(load(), "port", 1)
