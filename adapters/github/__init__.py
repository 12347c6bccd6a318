"""Provides GitHub's REST and GraphQL API: `GitHubClient`, the models, the errors, and the registry `OPERATIONS`."""

from adapters.github.app import AppOperations
from adapters.github.client import GitHub, GitHubClient
from adapters.github.operation import OPERATIONS, Operation

__all__ = ["OPERATIONS", "AppOperations", "GitHub", "GitHubClient", "Operation"]
