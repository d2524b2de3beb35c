"""Changes what an object inside PyTorch answers, without a compiler: by a copy of its class's table of methods.

The C++ ABI of Linux and macOS puts the address of such a table first into an object, and into it the methods in the
order in which the class declares them. The declarations are in the headers of the wheel, so nothing is counted by hand.
"""

from __future__ import annotations

import ctypes
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_BEFORE, _METHODS = 2, 256  # words that lie before the first method, and more methods than any class has
_Words = ctypes.c_void_p * (_BEFORE + _METHODS)

_allocate = ctypes.pythonapi.PyMem_RawMalloc
_allocate.restype = ctypes.c_void_p
_allocate.argtypes = [ctypes.c_size_t]


class UnsupportedBuildError(RuntimeError):
    """The installed PyTorch lacks a part that emulation is built on."""


# Returns 1 while Python runs, and is the one function of Python that needs no lock in any thread. That is true as a
# bool, device number 0 of CUDA as a `c10::Device` (two bytes, type and index), and nothing as void.
ONE = ctypes.cast(ctypes.pythonapi.Py_IsInitialized, ctypes.c_void_p).value or 0


def redirect(address: int, header: Path, functions: Mapping[str, int]) -> None:
    """Let methods of the object at `address` be other functions, given by their addresses.

    Args:
        address: of an object of a class with virtual methods.
        header: declares the class, before any other.
        functions: by name of the method; they are called with its arguments, the object first.

    Raises:
        UnsupportedBuildError: the header is not there or declares no such methods.
    """
    slots = _slots(header)
    missing = [name for name in functions if name not in slots]
    if missing:
        raise UnsupportedBuildError(f"CUDA cannot be emulated: {header} declares no {', '.join(missing)}")
    table = ctypes.c_void_p.from_address(address)
    assert table.value is not None
    before = _BEFORE * ctypes.sizeof(ctypes.c_void_p)
    # Never freed: PyTorch reads it until the process has ended, when Python's own objects are gone.
    copied = _Words.from_address(_allocate(ctypes.sizeof(_Words)))
    ctypes.memmove(copied, table.value - before, ctypes.sizeof(_Words))
    for name, function in functions.items():
        copied[_BEFORE + slots.index(name)] = function
    table.value = ctypes.addressof(copied) + before


def _slots(header: Path) -> list[str]:
    try:
        text = header.read_text("utf-8")
    except OSError as error:
        raise UnsupportedBuildError(f"CUDA cannot be emulated: {header} cannot be read ({error})") from error
    names: list[str] = re.findall(r"^\s*virtual\s[^;{}(]*?([~\w]+)\(", text, re.MULTILINE)
    # A destructor takes two places: one destroys in place, the other frees as well.
    return [place for name in names for place in ((name, name) if name.startswith("~") else (name,))]
