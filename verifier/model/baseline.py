"""What a plugin keeps of a run for later ones."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptFile:
    """A text file for version control.

    Args:
        path: POSIX, relative to the root of the project.
        says: what it holds now, in a few words: "third run of this machine class".
    """

    path: str
    text: str
    says: str = ""
