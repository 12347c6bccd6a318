"""Create the folders and the configuration of a bare repository, as `git init --bare` does."""

from pathlib import Path

_CONFIG = """[core]
	repositoryformatversion = 0
	filemode = true
	bare = true
	hooksPath = /dev/null
	fsync = none
[gc]
	auto = 0
[http]
	receivepack = true
[receive]
	autogc = false
	hideRefs = refs/pull
	unpackLimit = 10000
[uploadpack]
	allowReachableSHA1InWant = true
[maintenance]
	auto = false
"""
"""No hooks, no background work that outlives a test; refs/pull belongs to the server alone; what is pushed stays loose,
so that it is read without a git process."""


def make_folders(path: Path) -> None:
    """Create them at `path`. The caller adds `HEAD` last: without that file git sees no repository there."""
    for folder in ("objects/info", "objects/pack", "refs/heads", "refs/tags"):
        (path / folder).mkdir(parents=True)
    (path / "config").write_text(_CONFIG)
