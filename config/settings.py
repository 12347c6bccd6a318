"""Loads the service's settings from the environment or a `.env` file and checks them before the start."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal

from dotenv import dotenv_values
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError
from pydantic_core import ErrorDetails

from config import setting_checks as checks
from config.agent_tokens import AgentToken, read_agent_tokens

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]
WebAddress = Annotated[str, AfterValidator(checks.web_address)]
KeyAddress = Annotated[WebAddress, AfterValidator(checks.key_address)]

_MAX_KEY_BYTES: Final = 64 * 1024
_PRIVATE_KEY: Final = "GITHUB_PRIVATE_KEY"
_PRIVATE_KEY_PATH: Final = "GITHUB_PRIVATE_KEY_PATH"

# What to do about a missing setting.
_MISSING_HINTS: Final = {
    "GITHUB_APP_ID": "set it to the number on the App's settings page",
    _PRIVATE_KEY: f"set it to the text of the App's private key, or {_PRIVATE_KEY_PATH} to its file",
    "GITHUB_WEBHOOK_SECRET": "set it to the App's webhook secret; the bot never accepts unsigned deliveries",
}


class SettingsError(Exception):
    """The service cannot start: `problems` has one line for each setting, and never a secret's value."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


class Settings(BaseModel):
    """All settings of the service; each is an environment variable of the same name in capitals."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, validate_default=True)

    github_app_id: int = Field(gt=0, description="The App's id, a number.")
    github_private_key: Annotated[SecretStr, AfterValidator(checks.private_key)] = Field(
        description="The App's private key as PEM text; line ends may be `\\n`. Set either this or the next."
    )
    github_private_key_path: Path | None = Field(None, description="A file with the App's private key.")
    github_webhook_secret: Annotated[tuple[SecretStr, ...], BeforeValidator(checks.secrets)] = Field(
        description="The App's webhook secret. To rotate it, give the new and the old one: `new,old`."
    )
    github_api_url: WebAddress = Field("https://api.github.com", description="GitHub's REST API.")
    github_graphql_url: WebAddress = Field(
        default_factory=checks.graphql_address,
        description="GitHub's GraphQL API.",
        json_schema_extra={"default_text": "`graphql` beside the REST API"},
    )
    github_server_url: WebAddress = Field(
        default_factory=checks.server_address,
        description="Address of git and the web pages.",
        json_schema_extra={"default_text": "the REST API's server; `https://github.com` for GitHub's own"},
    )
    database_url: Annotated[SecretStr, AfterValidator(checks.database_address)] | None = Field(
        None,
        description="A PostgreSQL ≥ 14: `postgresql://user:password@host:5432/name`.",
        json_schema_extra={"default_text": "the embedded server"},
    )
    data_dir: Annotated[Path, AfterValidator(checks.directory)] = Field(
        description="Directory for the embedded database and the copies of repositories.",
        json_schema_extra={"default_text": "`~/.local/share/mcp-orchestrator`; `/var/lib/mcp-orchestrator` for root"},
    )
    github_user_token: SecretStr | None = Field(
        None, description="A user's token for agents with `adapter: copilot`: GitHub does not let Apps assign Copilot."
    )
    cursor_api_key: SecretStr | None = Field(None, description="For agents with `preset: cursor`.")
    jules_api_key: SecretStr | None = Field(None, description="For agents with `preset: jules`.")
    devin_api_key: SecretStr | None = Field(None, description="For agents with `preset: devin`.")
    agent_http_secret: SecretStr | None = Field(
        None, description="Signs requests to agents with `adapter: http` and a `url`."
    )
    cursor_api_url: KeyAddress = Field("https://api.cursor.com", description="Address that receives `CURSOR_API_KEY`.")
    jules_api_url: KeyAddress = Field(
        "https://jules.googleapis.com", description="Address that receives `JULES_API_KEY`."
    )
    devin_api_url: KeyAddress = Field("https://api.devin.ai", description="Address that receives `DEVIN_API_KEY`.")
    allow_internal_agent_urls: bool = Field(
        False,
        description="Whether agents with a `url` may be on internal addresses. If so, anyone who configures a "
        "repository can make the bot send requests to them.",
    )
    agent_tokens: Annotated[tuple[AgentToken, ...], BeforeValidator(read_agent_tokens)] = Field(
        (),
        description="Tokens of agents that send heartbeats: `agent=token`, or `owner/repo/agent=token` for one "
        "repository, separated by commas; each token has at least 32 characters.",
        json_schema_extra={"default_text": "the bot refuses heartbeats"},
    )
    alert_webhook_url: Annotated[SecretStr, AfterValidator(checks.secret_address)] | None = Field(
        None, description="Address of the channel `webhook`, with `https://`."
    )
    alert_webhook_secret: SecretStr | None = Field(None, description="Signs the requests to that address.")
    alert_slack_url: Annotated[SecretStr, AfterValidator(checks.secret_address)] | None = Field(
        None, description="Address of the channel `slack`: an incoming webhook."
    )
    smtp_host: Annotated[str, AfterValidator(checks.host)] | None = Field(
        None, description="The mail server of the channel `email`."
    )
    smtp_port: int = Field(587, ge=1, le=65_535, description="Its port.")
    smtp_encryption: Literal["starttls", "tls", "none"] = Field(
        "starttls", description="`starttls`, `tls` (from the start, port 465), or `none`."
    )
    smtp_user: str | None = Field(None, description="User that logs in there. Default: no login.")
    smtp_password: SecretStr | None = Field(None, description="The password of that user.")
    alert_email_from: Annotated[str, AfterValidator(checks.mail_address)] | None = Field(
        None, description="The sender of mails."
    )
    alert_email_to: Annotated[tuple[str, ...], BeforeValidator(checks.mail_addresses)] = Field(
        (),
        description="Recipients of mails, separated by commas.",
        json_schema_extra={"default_text": "no recipients"},
    )
    host: Annotated[str, AfterValidator(checks.host)] = Field(
        "127.0.0.1",
        description="Address to listen on. Use `0.0.0.0` if the proxy is on another machine or container.",
    )
    port: int = Field(8080, ge=0, le=65_535, description="Port to listen on; 0 uses a free one.")
    log_level: Annotated[LogLevel, BeforeValidator(lambda value: str(value).upper())] = Field(
        "INFO", description="`DEBUG`, `INFO`, `WARNING`, `ERROR` or `CRITICAL`."
    )
    memory_limit_mb: int = Field(
        512,
        ge=128,
        le=1_048_576,
        description="While the bot uses more memory than this, it answers new deliveries with 503 and continues "
        "with the accepted ones.",
    )
    max_queued_deliveries: int = Field(
        20_000, ge=1, description="While more deliveries than this wait, the bot answers new ones with 503."
    )
    max_concurrent_requests: int = Field(
        200, ge=1, description="How many deliveries the bot answers at the same time; others get 503."
    )
    max_buffered_body_mb: int = Field(
        32,
        ge=26,
        description="How much of their bodies is in memory at the same time; others wait, then get 503.",
    )
    max_connections: int = Field(
        500, ge=1, description="How many connections are open at the same time; others replace idle ones or get 503."
    )
    header_timeout_seconds: float = Field(
        75.0,
        ge=1,
        le=3600,
        allow_inf_nan=False,
        description="Seconds within which a request must arrive with all its headers, also the next one on an "
        "open connection. Must be longer than the proxy keeps idle connections; otherwise the proxy uses closed ones.",
    )
    body_timeout_seconds: float = Field(
        10.0, ge=1, le=600, allow_inf_nan=False, description="Seconds within which the body of a delivery must arrive."
    )
    workers: int = Field(
        8,
        ge=1,
        le=64,
        description="How many jobs run at the same time. One repository never holds more than half of them, the next "
        "never more than half of the rest.",
    )
    git_workers: int = Field(
        3,
        ge=1,
        le=64,
        description="How many repositories are fetched and compared at the same time, besides `WORKERS`.",
    )
    mirror_limit_mb: int = Field(
        5_000,
        ge=10,
        description="How much of the disk the copy of one repository may use. A pull request that would exceed it gets "
        "no result from the conflict check.",
    )
    mirrors_limit_mb: int = Field(
        50_000,
        ge=10,
        description="How much all copies may use together. The bot removes the least recently used ones.",
    )
    scheduler_interval_seconds: float = Field(
        1.0, ge=0.05, le=60, allow_inf_nan=False, description="Seconds between two checks of the deadlines."
    )
    github_write_interval_seconds: float = Field(
        1.0,
        ge=0,
        le=60,
        allow_inf_nan=False,
        description="Seconds between writes to GitHub for one installation, for all replicas together; a burst "
        "of ten is allowed. GitHub advises one second; 0 removes this limit.",
    )
    github_points_per_minute: int = Field(
        900, ge=10, description="GitHub's limit for one installation: a read counts 1, a write 5."
    )
    github_content_per_minute: int = Field(80, ge=1, description="The same, of issues, comments and reactions.")
    github_content_per_hour: int = Field(500, ge=1, description="The same, by the hour.")
    card_debounce_seconds: float = Field(
        30.0,
        ge=0,
        le=600,
        allow_inf_nan=False,
        description="Seconds that labels, the task card and a passed check may wait, so that several changes "
        "become one write. Texts that a person must act on never wait.",
    )

    @property
    def agent_keys(self) -> dict[str, SecretStr]:
        """The keys that are set, by the kind of agent or preset."""
        keys = {
            "copilot": self.github_user_token,
            "cursor": self.cursor_api_key,
            "jules": self.jules_api_key,
            "devin": self.devin_api_key,
            "http": self.agent_http_secret,
        }
        return {name: key for name, key in keys.items() if key is not None}

    @property
    def agent_urls(self) -> dict[str, str]:
        """The addresses to which the keys are sent, by preset."""
        return {"cursor": self.cursor_api_url, "jules": self.jules_api_url, "devin": self.devin_api_url}


def load_settings(env: Mapping[str, str] | None = None, env_file: Path | None = Path(".env")) -> Settings:
    """The settings from `env` (the process's environment if None), completed from `env_file` if it exists.

    Empty variables count as absent. Raises SettingsError with one line for each problem: the variable, what
    is wrong, what to do.
    """
    environment = os.environ if env is None else env
    variables = {**_read_env_file(env_file), **{name: value for name, value in environment.items() if value.strip()}}
    values = {name: variables[name.upper()].strip() for name in Settings.model_fields if name.upper() in variables}
    values.setdefault("data_dir", _default_data_dir(variables))
    problems = _load_private_key(values)
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        lines = [
            line for line in map(_describe_error, details) if line and not (problems and line.startswith(_PRIVATE_KEY))
        ]
        if "github_private_key_path" in values:
            lines = [re.sub(f"^{_PRIVATE_KEY} ", f"{_PRIVATE_KEY_PATH} names a file that ", line) for line in lines]
        problems += lines
    if problems:
        raise SettingsError(tuple(problems))
    return settings


def _read_env_file(env_file: Path | None) -> dict[str, str]:
    if env_file is None:
        return {}
    try:
        variables = dotenv_values(env_file)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SettingsError((f"{env_file} cannot be read ({reason}): fix or remove it",)) from None
    return {name.upper(): value for name, value in variables.items() if value and value.strip()}


def _default_data_dir(environment: Mapping[str, str]) -> str:
    if os.geteuid() == 0:
        # Not root's home: the embedded server runs as another user and must be able to open its directory.
        return "/var/lib/mcp-orchestrator"
    return f"{environment.get('XDG_DATA_HOME') or '~/.local/share'}/mcp-orchestrator"


def _load_private_key(values: dict[str, str]) -> list[str]:
    """Read the key's text if a file is named; returns what is wrong, at most one line."""
    if "github_private_key_path" not in values:
        return []
    if "github_private_key" in values:
        return [f"{_PRIVATE_KEY} and {_PRIVATE_KEY_PATH} are both set: keep one of them"]
    try:
        path = Path(values["github_private_key_path"]).expanduser()
        with path.open("rb") as file:
            values["github_private_key"] = file.read(_MAX_KEY_BYTES).decode()
    except (OSError, RuntimeError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not a text file"
        return [f"{_PRIVATE_KEY_PATH} names a file that cannot be read ({reason}): name the .pem file of the App"]
    return []


def _describe_error(error: ErrorDetails) -> str:
    """One of pydantic's errors as a line; empty for the consequence of another one."""
    variable_name, context = str(error["loc"][0]).upper(), error.get("ctx", {})
    match error["type"]:
        case "missing":
            return f"{variable_name} is missing: {_MISSING_HINTS[variable_name]}"
        case "mistake":
            return f"{variable_name} {context['message']}"
        case "default_factory_not_called":
            return ""
        case "int_parsing" | "int_type" | "int_parsing_size":
            return f"{variable_name} must be a whole number"
        case "bool_parsing":
            return f"{variable_name} must be true or false"
        case "float_parsing" | "finite_number":
            return f"{variable_name} must be a number"
        case "greater_than":
            return f"{variable_name} must be more than {context['gt']}"
        case "greater_than_equal":
            return f"{variable_name} must be at least {context['ge']}"
        case "less_than_equal":
            return f"{variable_name} must be at most {context['le']}"
        case "literal_error":
            return f"{variable_name} must be one of {str(context['expected']).replace(chr(39), '')}"
        case _:
            return f"{variable_name}: {error['msg']}"
