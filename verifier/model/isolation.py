"""What a run may ask of the cage around the code it verifies: by which means, and how much of it must hold."""

from __future__ import annotations

import re
from collections.abc import Mapping

SANDBOXES: Mapping[str, str] = {
    "auto": "Landlock and namespaces, as far as the kernel has them",
    "landlock": "Landlock: files, signals and TCP",
    "namespaces": "a user and a network namespace: the network",
    "bwrap": "bubblewrap: files and the network",
    "none": "limits and the process tree only",
}
# Each level holds what the one before holds.
LEVELS: Mapping[str, str] = {
    "process": "a session and limits of its own; everything it starts ends with it",
    "files": "and it can write nothing but its scratch folders",
    "network": "and it reaches no network, by TCP or UDP",
}
DEFAULT_SANDBOX = "auto"

# Variables that change how Python or the loader starts would change the harness; the others are set by the cage.
_RESERVED = re.compile(r"PYTHON|LD_(?!LIBRARY_PATH\Z)|DYLD_INSERT|(HOME|TMPDIR|LANG|TZ)\Z")


def is_reserved(name: str) -> bool:
    """Say whether an environment variable may not be handed down to the verified code."""
    return _RESERVED.match(name) is not None
