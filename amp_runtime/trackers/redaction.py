"""What of a configuration may leave the machine: no secrets, no absolute paths, no values of the environment."""

from __future__ import annotations

import enum
import logging
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from amp_runtime.trackers.contract import Scalar

_log = logging.getLogger(__name__)

_SECRET = re.compile(
    # A language model's settings speak of tokens that are none.
    r"(?<!eos_)(?<!bos_)(?<!pad_)(?<!unk_)(?<!sep_)(?<!cls_)(?<!mask_)token$|(?:access|auth|api|bearer|hf|refresh)_?token"
    r"|secret|passw|passphrase|(?:api|access|private|signing)_?key|credential|authorization",
    re.I,
)
# A path from the root, the home folder or a drive; not the path of an address on the web.
_PATH = re.compile(r"(?<![\w.:/\\])(?:~?/|[A-Za-z]:[\\/])(?:[^\s/\\:'\",;]+[\\/])*([^\s/\\:'\",;]+)[\\/]?")
_REDACTED = "<redacted>"
_SHORTEST = 8  # characters from which a value of the environment can be told from an ordinary word


def presentable(values: Mapping[str, object]) -> dict[str, Scalar]:
    """Flatten a configuration to plain values under dotted names, fit to be shown to others.

    Keys that name a secret are dropped, and that is logged. Of an absolute path only the last part stays. A text that
    contains the value of a secret environment variable is blanked. What is no plain value becomes the name of its type.
    """
    found: dict[str, Scalar] = {}
    for name, value in _flat("", values):
        if _SECRET.search(name):
            _log.warning("%r names a secret, so no tracker gets it", name)
        else:
            found[name] = _plain(value)
    return found


def _flat(prefix: str, values: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    for key, value in values.items():
        name = f"{prefix}.{key}" if prefix else str(key)
        if isinstance(value, Mapping):
            yield from _flat(name, value)
        else:
            yield name, value


def _plain(value: object) -> Scalar:
    if isinstance(value, enum.Enum):
        value = value.value
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str | PurePath | torch.dtype | torch.device):
        return _clean(str(value))
    if isinstance(value, list | tuple | set | frozenset):
        return ", ".join(str(_plain(item)) for item in (sorted(value, key=str) if isinstance(value, set) else value))
    return type(value).__qualname__


def _clean(text: str) -> str:
    for name, secret in os.environ.items():
        if _SECRET.search(name) and len(secret) >= _SHORTEST and secret in text:
            return _REDACTED
    return _PATH.sub(lambda found: found[1], text)
