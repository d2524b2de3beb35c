"""Write evidence: one JSON record a line, each with the nonce that only the harness knows."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

from ..wire import Failure, Item, to_json

if TYPE_CHECKING:
    from collections.abc import Callable

_decode = json.JSONDecoder().decode
_write, _getpid = os.write, os.getpid


def _encoder() -> Callable[[object], str]:
    """Return what writes JSON without a line of Python in it that the project could make do otherwise."""
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return json.JSONEncoder(separators=(",", ":")).encode
    parts = make(None, _refuse, json.encoder.encode_basestring_ascii, None, ":", ",", False, False, True)
    return lambda record: "".join(parts(record, 0))


def _refuse(value: object) -> object:
    raise TypeError(f"{type(value).__name__} is no JSON value")


_encode = _encoder()


def keep_json() -> None:
    """Make this copy of JSON the harness's own: what the project imports as `json`, and may patch, is another one."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "json"]:
        del sys.modules[name]


def encode(record: object) -> str:
    return _encode(record)


def decode(text: str) -> object:
    return _decode(text)


class ChannelLostError(Exception):
    """The result channel was closed by somebody else."""


class Writer:
    """One end of a result channel. Only the process that opened it may write: forked copies are mute."""

    def __init__(self, descriptor: int, nonce: str) -> None:
        self._descriptor = descriptor
        self._nonce = nonce
        self._owner = _getpid()

    def send(self, kind: str, **values: object) -> None:
        if _getpid() != self._owner:
            return
        line = _encode({"n": self._nonce, "k": kind, **{key: to_json(value) for key, value in values.items()}})
        data = memoryview(line.encode("ascii") + b"\n")
        try:
            while data:
                data = data[_write(self._descriptor, data) :]
        except OSError as error:
            raise ChannelLostError(str(error)) from None

    def item(self, item: Item) -> None:
        self.send("item", type=type(item).__name__, value=item)

    def raised(self, failure: Failure) -> None:
        self.send("raised", value=failure)
