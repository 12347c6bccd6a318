"""Loads the agents that ship with the service, from `config/agents.yml`."""

from pathlib import Path
from typing import Final, Literal

from pydantic import Field

from config.agent_kinds import AgentSpec, AgentSpecs, ConfigModel
from config.validation import parse_model, read_file

DEFAULT_AGENTS_FILE: Final = Path(__file__).with_name("agents.yml")


class ServiceAgents(ConfigModel):
    """The content of `config/agents.yml`."""

    version: Literal[1] = Field(description="The version of this format: 1.")
    agents: AgentSpecs = Field(description="The agents by name, as in a repository's configuration.")


def load_default_agents(path: Path = DEFAULT_AGENTS_FILE) -> dict[str, AgentSpec]:
    """The service's own agents by name, in the file's order.

    Raises ConfigError (its text names file and line) if the file cannot be read or is invalid. The start then stops,
    because half a team would look like a working service.
    """
    return parse_model(ServiceAgents, read_file(path), str(path)).agents
