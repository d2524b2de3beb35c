"""Whether this machine can compile at all, and what it lacks."""

from __future__ import annotations

import importlib.util
import shutil
from typing import Any


def missing_for(backend: Any, device_type: str) -> str:
    """Return what is missing to compile with this backend for this kind of device; empty where nothing is."""
    try:
        import torch._dynamo as dynamo  # noqa: PLC0415 - the compiler is loaded when it is needed
    except ImportError as error:
        return f"torch's compiler cannot be loaded: {error}"
    supported = getattr(dynamo, "is_dynamo_supported", None) or (lambda: True)
    if not supported():
        return "torch's compiler does not support this version of Python"
    if backend != "inductor":
        return ""
    if device_type == "cpu":
        return "" if _cpp_compiler() else "no C++ compiler is found (g++, clang++ or what CXX names)"
    if device_type == "cuda" and importlib.util.find_spec("triton") is None:
        return "triton is not installed, with which the compiler makes code for CUDA devices"
    return ""


def _cpp_compiler() -> str | None:
    from torch._inductor import config  # noqa: PLC0415

    named = config.cpp.cxx
    candidates = named if isinstance(named, tuple | list) else (named,)
    return next((path for name in candidates if name and (path := shutil.which(str(name)))), None)
