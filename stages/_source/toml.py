"""Reads TOML once as long as its text stays the same: of one pyproject.toml many questions are asked, in every task."""

from __future__ import annotations

import tomllib
from functools import lru_cache
from typing import Any


@lru_cache(maxsize=16)
def read_toml(text: str) -> dict[str, Any]:
    """Return the document. Callers share it and must not change it.

    Raises:
        tomllib.TOMLDecodeError, RecursionError: as `tomllib.loads`.
    """
    return tomllib.loads(text)
