"""What earlier runs have established of one project, and who may use it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from verifier.cache.identity import tool_identity
from verifier.cache.place import cache_folder
from verifier.cache.records import Records
from verifier.cache.shelf import Shelf
from verifier.cache.store import Store
from verifier.cache.walks import walk_again
from verifier.sources import KnownFile, SourceFile

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from verifier.plugins import Plugins
    from verifier.sources import SourceTree


@dataclass(frozen=True, slots=True)
class Cache:
    """Entries of a project, what is known of its files, and the digest of the verifier that made them."""

    store: Store
    records: Records
    identity: str
    packages: frozenset[str] = frozenset()  # whose code the digest covers

    def file(self, path: str, absolute: str) -> SourceFile:
        """Return a Python file: one that is read only when somebody looks into it, where it is known."""
        record = self.records.of(path, absolute)
        return SourceFile(path, Path(absolute), noted=False) if record is None else KnownFile(path, absolute, record)

    def walk(
        self, start: Path, *, root: Path, exclude: Sequence[str], unlisted: Callable[[Path, OSError], None]
    ) -> list[str]:
        """Return the paths of the files that count below a folder; folders that have not changed are not listed."""
        return walk_again(self.store, self.identity, start, root=root, exclude=exclude, unlisted=unlisted)

    def shelf(self, name: str) -> Shelf:
        """Return facts about single things, of this version of the verifier alone."""
        return Shelf(self.store, f"{name}-{self.identity[:24]}")

    def save(self, sources: SourceTree) -> None:
        """Keep what this run has learned of files."""
        self.records.save((*sources, *(sources.rest or ())))


def open_cache(root: Path, plugins: Plugins) -> Cache | None:
    """Return the cache of the project at `root`; None where there can be none."""
    folder = cache_folder(root)
    if folder is None:
        return None
    store = Store(folder)
    packages = ["verifier", *(stage.run.__module__.partition(".")[0] for stage in plugins.stages)]
    identity = tool_identity(packages, plugins.third_party, plugins.rules)
    return Cache(store, Records(store), identity, frozenset(packages))
