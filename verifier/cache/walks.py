"""Decides whether a tree must be walked again to know which of its files count: not where no folder has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verifier.cache import seen
from verifier.cache.codec import seen_from_json, seen_to_json
from verifier.cache.identity import digest_of
from verifier.cache.unchanged import still_true
from verifier.discovery import walk

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from verifier.cache.store import Store


def walk_again(
    store: Store,
    identity: str,
    start: Path,
    *,
    root: Path,
    exclude: Sequence[str],
    unlisted: Callable[[Path, OSError], None],
) -> list[str]:
    """Return the paths that `discovery.walk` yields; `identity` is that of the verifier."""
    name = f"walk-{digest_of([identity, str(start), str(root), list(exclude)])[:40]}.json"
    kept = store.read(name)
    try:
        noted = None if kept is None else seen_from_json(kept["seen"])
        now = None if noted is None else still_true(noted, str)
        if now is not None:
            if now is not noted:
                store.write(name, {**kept, "seen": seen_to_json(now)})
            return list(kept["paths"])
    except (KeyError, TypeError, ValueError, AttributeError):  # whole, and yet not of our making
        pass
    closed: list[Path] = []

    def told(folder: Path, error: OSError) -> None:
        closed.append(folder)
        unlisted(folder, error)

    seen.start()
    try:
        found = [str(path) for path in walk(start, root=root, exclude=exclude, unlisted=told)]
    finally:
        seen_now = seen.stop()
    if not seen_now.spoiled and not closed:
        store.write(name, {"paths": found, "seen": seen_to_json(seen_now)})
    return found
