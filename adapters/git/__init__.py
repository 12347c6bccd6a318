"""Git: local mirrors of repositories, and merges tried on them without a work tree."""

from adapters.git.matrix import Clash, Comparison, Matrix, Trial
from adapters.git.merge import (
    ConflictedFile,
    MergeError,
    MergeResult,
    holding,
    is_in,
    merge_tree,
    merge_trees,
    touched_files,
)
from adapters.git.mirror import Mirror
from adapters.git.process import Git, GitError, GitTimeoutError, check_git_version

__all__ = [
    "Clash",
    "Comparison",
    "ConflictedFile",
    "Git",
    "GitError",
    "GitTimeoutError",
    "Matrix",
    "MergeError",
    "MergeResult",
    "Mirror",
    "Trial",
    "check_git_version",
    "holding",
    "is_in",
    "merge_tree",
    "merge_trees",
    "touched_files",
]
