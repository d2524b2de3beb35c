"""A tree in which one file has another content than on disk. Nothing is written anywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verifier.sources import SourceFile, SourceTree

if TYPE_CHECKING:
    from collections.abc import Mapping


class ReplacedFile(SourceFile):
    """A file of the tree as it would be with other content. Stages that run code put it into their copy."""

    is_replaced = True

    def __init__(self, original: SourceFile, data: bytes) -> None:
        self.path = original.path
        self.absolute = original.absolute
        self.data = data
        self.problem = None
        self.is_python = original.is_python


def overlaid(sources: SourceTree, replaced: Mapping[str, bytes]) -> SourceTree:
    """Return the tree with these contents. Files that stay are the same objects, so what is known of them holds."""
    files = [ReplacedFile(file, replaced[file.path]) if file.path in replaced else file for file in sources]
    tree = SourceTree(sources.root, files)
    tree.rest = sources.rest
    return tree
