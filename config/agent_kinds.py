"""Defines the agents of a repository: one strict model for each kind of adapter."""

import re
from collections.abc import Hashable
from typing import Annotated, ClassVar, Final, Literal, TypeAlias, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema, model_validator

from config.labels import MAX_NAME_LENGTH
from config.problems import quote, validation_error

NAME_PATTERN: Final = r"^[a-z0-9][a-z0-9+#._-]*$"
WORKFLOW_PATTERN: Final = r"^[A-Za-z0-9_-][A-Za-z0-9._-]*\.ya?ml$"
MENTION_PATTERN: Final = r"^@[A-Za-z0-9](-?[A-Za-z0-9])*(/[A-Za-z0-9._-]+)?$"
REF_PATTERN: Final = r"^[A-Za-z0-9_][A-Za-z0-9._/+#@-]*$"
LOOPBACK_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "::1"})
MAX_AGENTS: Final = 100
MAX_CAPABILITIES: Final = 50

Item = TypeVar("Item", bound=Hashable)


class ConfigModel(BaseModel):
    """The base of all configuration models: no unknown keys, no type coercion, immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def _check_name(value: str) -> str:
    if re.fullmatch(NAME_PATTERN, value) and len(value) <= MAX_NAME_LENGTH and value.isascii():
        return value
    normalized = re.sub(r"[^a-z0-9+#._-]+", "-", value.strip().lower())[:MAX_NAME_LENGTH].strip("-")
    hint = f"write `{normalized}`" if re.fullmatch(NAME_PATTERN, normalized) else ""
    rule = f"a name is 1 to {MAX_NAME_LENGTH} of a-z 0-9 + # . _ - and begins with a letter or digit"
    raise validation_error(rule, suggestion=hint)


def _check_workflow(value: str) -> str:
    if re.fullmatch(WORKFLOW_PATTERN, value) and len(value) <= 100:
        return value
    file_name = value.rsplit("/", 1)[-1]
    hint = f"write `{file_name}`" if file_name != value and re.fullmatch(WORKFLOW_PATTERN, file_name) else ""
    raise validation_error("must be the name of a file in .github/workflows, such as agent.yml", suggestion=hint)


def _check_event(value: str) -> str:
    # GitHub accepts at most 100 characters for `event_type`.
    if 1 <= len(value) <= 100 and value.isprintable() and value == value.strip():
        return value
    raise validation_error(
        "must be the type of a repository_dispatch event, at most 100 characters, such as agent-task"
    )


def _check_ref(value: str) -> str:
    if re.fullmatch(REF_PATTERN, value) and len(value) <= 250 and ".." not in value:
        return value
    raise validation_error("must be the name of a branch or tag, such as main")


def _check_mention(value: str) -> str:
    if re.fullmatch(MENTION_PATTERN, value) and len(value) <= 100:
        return value
    hint = f'write "@{value}"' if re.fullmatch(MENTION_PATTERN, f"@{value}") else ""
    raise validation_error('must be the name to mention, in quotes, such as "@claude"', suggestion=hint)


def _check_https_url(value: str) -> str:
    try:
        parts = urlsplit(value)
        is_loopback = parts.scheme == "http" and parts.hostname in LOOPBACK_HOSTS  # nothing leaves the machine
        is_usable = (
            (parts.scheme == "https" or is_loopback) and parts.hostname and parts.port != 0 and "@" not in parts.netloc
        )
    except ValueError:
        is_usable = False
    if is_usable and len(value) <= 2000 and value.isascii() and value.isprintable() and " " not in value:
        return value
    raise validation_error("must be an https:// address without user or password in it")


def check_unique(values: tuple[Item, ...]) -> tuple[Item, ...]:
    """The same values. Raises the usual validation error if one of them appears twice."""
    seen: set[Item] = set()
    for value in values:
        if value in seen:
            raise validation_error(f"{quote(value)} appears twice")
        seen.add(value)
    return values


def _string_schema(pattern: str, max_length: int) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern, "maxLength": max_length})


Name = Annotated[str, AfterValidator(_check_name), _string_schema(NAME_PATTERN, MAX_NAME_LENGTH)]
RoleName: TypeAlias = Literal["plan", "implement", "review"]
Capabilities = Annotated[tuple[Name, ...], Field(max_length=MAX_CAPABILITIES), AfterValidator(check_unique)]


class AgentBase(ConfigModel):
    """The keys that every agent has, whatever starts it."""

    # Traits of a kind, the same for all its agents.
    poll_seconds: ClassVar[int | None] = None  # how often its service is polled, because it sends no events
    reads_final_message: ClassVar[bool] = False  # its last message is read: its plan or verdict needs no comment
    fetches_work: ClassVar[bool] = False  # it is offered work and fetches it: until then silence is no failure

    capabilities: Capabilities = Field(
        (), description="What the agent can do. An agent must have every capability that a task requires."
    )
    prefers: Capabilities = Field(
        (), description="What the agent does best. This raises its score and excludes no task."
    )
    max_tasks: int = Field(1, ge=1, le=100, description="How many tasks the agent may hold at once.")
    roles: Annotated[tuple[RoleName, ...], Field(min_length=1), AfterValidator(check_unique)] = Field(
        ("implement",), description="The roles that the agent may have in a task."
    )
    account: int | None = Field(
        None,
        ge=1,
        le=10**12,
        description="Numeric id of the account that the agent uses on GitHub. Known agents do not need it; if "
        "set, it overrides the built-in table.",
    )


class ActionsAgent(AgentBase):
    """Started by a workflow of the repository, which may run any agent."""

    adapter: Literal["actions"] = Field(description="Starts a GitHub Actions workflow.")
    workflow: Annotated[str, AfterValidator(_check_workflow), _string_schema(WORKFLOW_PATTERN, 100)] | None = Field(
        None, description="File name of the workflow to start with `workflow_dispatch`. Set either this or `event`."
    )
    event: Annotated[str, AfterValidator(_check_event), _string_schema("", 100)] | None = Field(
        None, description="Type of the `repository_dispatch` event to send. Set either this or `workflow`."
    )
    ref: Annotated[str, AfterValidator(_check_ref), _string_schema(REF_PATTERN, 250)] | None = Field(
        None,
        description="Branch or tag on which to start the workflow; only with `workflow`. Default: the default branch.",
    )

    @model_validator(mode="after")
    def _check_trigger(self) -> "ActionsAgent":
        if self.workflow is None and self.event is None:
            raise validation_error(
                "has neither `workflow` nor `event`, so the bot cannot start it",
                suggestion="add `workflow: agent.yml` or `event: agent-task`",
            )
        if self.workflow is not None and self.event is not None:
            raise validation_error("has both `workflow` and `event`", suggestion="keep one of them", key="event")
        if self.ref is not None and self.event is not None:
            raise validation_error(
                "`ref` works only with `workflow`: GitHub starts `event` on the default branch",
                suggestion="remove `ref`",
                key="ref",
            )
        return self


class CopilotAgent(AgentBase):
    """GitHub's own coding agent."""

    adapter: Literal["copilot"] = Field(description="Assigns the issue to Copilot.")


class MentionAgent(AgentBase):
    """An agent that reads comments."""

    adapter: Literal["mention"] = Field(description="Mentions the agent in a comment on the issue.")
    mention: Annotated[str, AfterValidator(_check_mention), _string_schema(MENTION_PATTERN, 100)] = Field(
        description='The name that the agent listens to, in quotes: `"@claude"`, `"@codex"`, `"@cursor"`.'
    )
    comment_as: Literal["app", "person"] = Field(
        "app",
        description="Who writes the comments that mention the agent: the App, or the user of "
        "`GITHUB_USER_TOKEN`, because some agents answer only to people.",
    )


class HttpAgent(AgentBase):
    """An agent behind an HTTP interface."""

    poll_seconds: ClassVar[int | None] = 60
    reads_final_message: ClassVar[bool] = True

    adapter: Literal["http"] = Field(description="Sends a signed request to the agent's server.")
    preset: Literal["cursor", "jules", "devin"] | None = Field(
        None, description="A known service. Set either this or `url`."
    )
    url: Annotated[str, AfterValidator(_check_https_url), _string_schema("^https?://", 2000)] | None = Field(
        None, description="Where to send the hand-off. Set either this or `preset`."
    )

    @model_validator(mode="after")
    def _check_address(self) -> "HttpAgent":
        if self.preset is None and self.url is None:
            raise validation_error(
                "has neither `preset` nor `url`, so its server is unknown",
                suggestion="add `preset: cursor` (or jules, devin) or `url: https://…`",
            )
        if self.preset is not None and self.url is not None:
            raise validation_error("has both `preset` and `url`", suggestion="keep one of them", key="url")
        return self


class PullAgent(AgentBase):
    """An agent that fetches its work itself."""

    fetches_work: ClassVar[bool] = True

    adapter: Literal["pull"] = Field(description="Waits until the agent asks for work (command, API, MCP).")


AgentSpec = Annotated[
    ActionsAgent | CopilotAgent | MentionAgent | HttpAgent | PullAgent, Field(discriminator="adapter")
]
AgentSpecs = Annotated[dict[Name, AgentSpec], Field(max_length=MAX_AGENTS)]

AGENT_KINDS: Final[dict[str, type[AgentBase]]] = {
    "actions": ActionsAgent,
    "copilot": CopilotAgent,
    "mention": MentionAgent,
    "http": HttpAgent,
    "pull": PullAgent,
}
