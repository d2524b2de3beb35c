"""Decides how a profile is read from a file and written to one: whole or not at all, and never trusted. No torch."""

from __future__ import annotations

import json
import math
import os
import stat
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .codec import MAX_DEPTH, ProfileError
from .schema import HardwareCalibration

MAX_BYTES = 8 * 2**20  # a full run writes a hundredth of it
_REMEDY = "measure again with `verify calibrate`"


def load_profile(path: str | Path) -> HardwareCalibration:
    """Read a profile of any version. Nothing of it is executed, and nothing of it is trusted.

    Raises:
        ProfileError: it is no profile: one sentence with the file, the place in it and what to do.
        FileNotFoundError: there is none.
    """
    try:
        return HardwareCalibration.from_dict(_parsed(_read(Path(path))))
    except ProfileError as error:
        raise ProfileError(f"{path} is no calibration profile: {error}; {_REMEDY}") from None


def save_profile(profile: HardwareCalibration, path: str | Path) -> None:
    """Write a profile as JSON, making its folder; the file is the new one as a whole, or the old one.

    Raises:
        ProfileError: it holds what no profile can, such as a figure that is not finite.
        OSError: the file cannot be written.
    """
    replace_file(Path(path), profile_text(profile).encode("ascii"))


def replace_file(path: Path, content: bytes) -> None:
    """Write a file, making its folder: it is the new one as a whole, or stays the old one.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}-{uuid.uuid4().hex}")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def profile_text(profile: HardwareCalibration) -> str:
    """Return the file's content: JSON in ASCII that `load_profile` reads.

    Raises:
        ProfileError: it could not be read back.
    """
    data = profile.to_dict()
    try:
        HardwareCalibration.from_dict(data)
        return json.dumps(data, indent=2, allow_nan=False) + "\n"
    except (ValueError, TypeError, RecursionError) as error:
        raise ProfileError(f"this profile cannot be written: {error}") from None


def _read(path: Path) -> bytes:
    """Return the bytes of a regular file of a sensible size; opening a pipe does not wait for its other end."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise ProfileError(f"it cannot be read ({getattr(error, 'strerror', None) or error})") from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ProfileError(f"it is {_kind(status.st_mode)}, not a file")
        if status.st_size > MAX_BYTES:
            raise ProfileError(f"it has {status.st_size / 2**20:.0f} MiB, a profile at most {MAX_BYTES >> 20}")
        with open(descriptor, "rb", closefd=False) as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ProfileError(f"it cannot be read ({error.strerror or error})") from None
    finally:
        os.close(descriptor)


def _kind(mode: int) -> str:
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
    return kinds.get(stat.S_IFMT(mode), "a device")


def _parsed(data: bytes) -> Any:
    if len(data) > MAX_BYTES:
        raise ProfileError(f"it has over {MAX_BYTES >> 20} MiB, which no profile has")
    try:
        text = data.decode("utf-8-sig")
        parsed = json.loads(text, parse_constant=_refuse, parse_float=_finite)
    except UnicodeDecodeError as error:
        raise ProfileError(f"byte {error.start} is not UTF-8") from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise ProfileError(f"it is no JSON: {error.msg[:1].lower()}{error.msg[1:]} at {place}") from None
    except RecursionError:
        raise ProfileError(f"it is nested deeper than {MAX_DEPTH} levels") from None
    except ProfileError:
        raise
    except ValueError:  # int() refuses more than some thousand digits
        raise ProfileError("a number in it has too many digits") from None
    if _depth_exceeds(parsed, MAX_DEPTH):
        raise ProfileError(f"it is nested deeper than {MAX_DEPTH} levels")
    return parsed


def _refuse(constant: str) -> Any:
    raise ProfileError(f"{constant} stands in it, which is no JSON and no measurement")


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ProfileError(f"a number in it, {digits[:20]}, is too large to be one")
    return value


def _depth_exceeds(data: Any, limit: int) -> bool:
    """Say whether containers are nested deeper than `limit`, level by level, without recursion."""
    level = [data]
    for _ in range(limit + 1):
        level = [inner for item in level for inner in _inside(item)]
        if not level:
            return False
    return True


def _inside(item: Any) -> list[Any]:
    if isinstance(item, Mapping):
        return list(item.values())
    return list(item) if isinstance(item, list) else []
