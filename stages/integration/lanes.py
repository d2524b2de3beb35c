"""Runs the declared tests beside what does not depend on them, where that can change no result."""

from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Future

    from verifier.api import StageContext

T = TypeVar("T")
_ACCELERATORS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg", "/dev/accel")  # NVIDIA, AMD, either under WSL, others


def may_share(context: StageContext) -> bool:
    """Say whether tests may run beside imports and training: on two cores that both are wanted and free for it.

    Not where there is an accelerator. Its memory is one for all, and what fits alone may not fit beside another.
    """
    task = context.task
    if context.options.jobs < 2 or not task.tests or not (task.files or task.workloads):
        return False
    return _cores() > 1 and sys.platform == "linux" and not any(Path(device).exists() for device in _ACCELERATORS)


@contextmanager
def beside(works: Sequence[Callable[[Callable[[], bool]], T]]) -> Iterator[list[Future[T]]]:
    """Run functions in threads while the block runs. Each is given a question whether it is to end early.

    They are asked to where the block raises, Ctrl-C included, and are waited for in any case.
    """
    halt = threading.Event()
    with ThreadPoolExecutor(max(1, len(works)), thread_name_prefix="probe") as pool:
        try:
            yield [pool.submit(work, halt.is_set) for work in works]
        except BaseException:
            halt.set()
            raise


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
