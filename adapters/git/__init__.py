"""Manages local mirrors of repositories and trial merges without a work tree."""

from adapters.git.disk_usage import DiskLimitError, DiskUsage
from adapters.git.matrix import BaseMerge, ConflictingPair, Matrix, MatrixResult
from adapters.git.merge import (
    ConflictedFile,
    MergeError,
    MergeResult,
    commits_containing,
    is_ancestor,
    merge_trees,
)
from adapters.git.mirror import Mirror
from adapters.git.mirrors import MirrorPool
from adapters.git.process import Git, GitError, GitTimeoutError, check_git_version

__all__ = [
    "BaseMerge",
    "ConflictedFile",
    "ConflictingPair",
    "DiskLimitError",
    "DiskUsage",
    "Git",
    "GitError",
    "GitTimeoutError",
    "Matrix",
    "MatrixResult",
    "MergeError",
    "MergeResult",
    "Mirror",
    "MirrorPool",
    "check_git_version",
    "commits_containing",
    "is_ancestor",
    "merge_trees",
]
