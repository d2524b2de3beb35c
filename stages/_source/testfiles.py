"""Decides which files are tests, by their path alone, as pytest and the usual layouts do."""

from __future__ import annotations

from functools import lru_cache

_FOLDERS = frozenset({"tests", "test"})


@lru_cache(maxsize=65536)
def is_test_file(path: str) -> bool:
    """Say whether a POSIX path relative to the root is a test module, a conftest or a file below a test folder."""
    *folders, name = path.split("/")
    stem = name.rsplit(".", 1)[0]
    if stem == "conftest" or stem.startswith("test_") or stem.endswith("_test"):
        return True
    return not _FOLDERS.isdisjoint(folders)
