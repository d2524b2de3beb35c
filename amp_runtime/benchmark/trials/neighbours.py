"""Other work on the same machine, in bursts: products, memory traffic and compression, as other jobs have them."""

from __future__ import annotations

import random
import subprocess
import sys
import time
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_MEAN_S = 0.7  # of a burst, and of the rest after it


@contextmanager
def neighbours(count: int) -> Iterator[None]:
    """Keep that many processes busy, half of the time each, while the block runs."""
    command = [sys.executable, "-m", "amp_runtime.benchmark.trials.neighbours"]
    started = [subprocess.Popen([*command, str(number)]) for number in range(count)]
    try:
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


def work(seed: int) -> None:
    """Work in bursts until somebody ends the process."""
    import numpy as np  # noqa: PLC0415 - only here

    draw = random.Random(seed)
    square, long = np.ones((300, 300), np.float32), np.ones(4_000_000)
    raw = long[:200_000].tobytes()
    jobs = (lambda: square @ square, lambda: long + 1, lambda: zlib.compress(raw, 1))
    while True:
        stop = time.monotonic() + draw.expovariate(1 / _MEAN_S)
        job = draw.choice(jobs)
        while time.monotonic() < stop:
            job()
        time.sleep(draw.expovariate(1 / _MEAN_S))


if __name__ == "__main__":
    work(int(sys.argv[1]))
