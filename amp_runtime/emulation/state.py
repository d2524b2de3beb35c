"""Remembers whether this process emulates, for whoever asks before torch is loaded."""

from __future__ import annotations

_installed: list[object] = []


def keep(registrations: object) -> None:
    """Keep what must live as long as the process, and from now on say that it emulates."""
    _installed.append(registrations)


def is_emulating() -> bool:
    """Return whether `emulate` has run in this process."""
    return bool(_installed)
