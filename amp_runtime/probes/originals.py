"""Put back what the project replaced in the standard library, before the harness relies on it again."""

from __future__ import annotations

import atexit
import builtins
import contextlib
import dataclasses
import faulthandler
import io
import linecache
import os
import re
import threading
import time
import tokenize

_MODULES = (
    atexit,
    builtins,
    contextlib,
    dataclasses,
    faulthandler,
    io,
    linecache,
    os,
    os.path,
    re,
    threading,
    time,
    tokenize,
)
_KEPT = {"_exit"}  # ours: it says where it was called
# Functions and classes alone: the rest is the state of this process, which a fork renews.
_saved = [
    (vars(module), {name: value for name, value in vars(module).items() if callable(value) and name not in _KEPT})
    for module in _MODULES
]


def restore() -> None:
    """Give every function of these modules back to its name."""
    for now, before in _saved:
        for name, value in before.items():
            if now.get(name) is not value:
                now[name] = value
