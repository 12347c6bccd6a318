"""Holds the local mirrors of all repositories."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from adapters.git.disk_usage import DiskUsage
from adapters.git.matrix import Matrix
from adapters.git.mirror import Mirror
from adapters.git.process import Git


@dataclass(slots=True)
class MirrorPool:
    """Makes one mirror per repository when it is first needed, and keeps it."""

    data_dir: Path
    server_url: str
    git: Git
    disk: DiskUsage = field(default_factory=DiskUsage)
    matrix: Matrix = field(default_factory=Matrix)
    _mirrors: dict[str, Mirror] = field(default_factory=dict)

    def get(self, repository_id: int, full_name: str) -> Mirror:
        """Return the mirror of the repository that has this name now."""
        url = f"{self.server_url.rstrip('/')}/{full_name}.git"
        if url not in self._mirrors:
            self._mirrors[url] = Mirror(self.data_dir, repository_id, url, self.git, disk=self.disk)
        return self._mirrors[url]
