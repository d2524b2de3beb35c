"""Our figures of a product of matrices beside those of other tools, on the same machine in the same minute.

What is compared is seconds a call, from samples taken in turn in random order: our timer with the calibrator's own
call; `torch.utils.benchmark.Timer`; NumPy's matmul, which brings its own OpenBLAS; and the BLAS inside PyTorch (MKL on
x86) called directly through ctypes on NumPy's arrays, with neither PyTorch's dispatcher nor ours in between. NumPy's
has other kernels, so its ratio says how two libraries differ, not two clocks. To separate the two, our timer is also
applied to NumPy's call and held against `timeit`. Samples are short: most fall between two turns of the scheduler.
"""

from __future__ import annotations

import ctypes
import random
import timeit
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils import benchmark

from amp_runtime.benchmark.intervals import ratio
from amp_runtime.benchmark.medians import middle
from amp_runtime.calibration.formats import FORMATS
from amp_runtime.calibration.operations.matmul import prepare
from amp_runtime.calibration.settings import calibration_settings
from amp_runtime.calibration.surroundings import LoadMeter
from amp_runtime.calibration.timing import timer_for

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(1800)]
ROUNDS = 200
SAMPLE_S = 0.003
CPU = torch.device("cpu")


def blas_inside_pytorch():
    """Return a product through PyTorch's own BLAS, or None where the library does not show it."""
    library = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"))
    sgemm = getattr(library, "sgemm_", None)
    if sgemm is None:
        return None
    floats, no = ctypes.c_float, ctypes.c_char(b"N")
    one, zero = floats(1.0), floats(0.0)

    def product(left, right, into):
        side = ctypes.c_int(len(left))
        size = ctypes.byref(side)
        # Fortran has columns where C has rows: the product of the transposed operands in the other order.
        pointers = [array.ctypes.data_as(ctypes.c_void_p) for array in (right, left, into)]

        def call():
            sgemm(
                ctypes.byref(no), ctypes.byref(no), size, size, size, ctypes.byref(one), pointers[0], size,
                pointers[1], size, ctypes.byref(zero), pointers[2], size,
            )  # fmt: skip
            return into

        return call

    return product


def contestants(side, threads):
    """Return for each tool a function that runs a number of calls and returns the seconds of one."""
    left, right = (np.random.default_rng(seed).standard_normal((side, side), dtype=np.float32) for seed in (0, 1))
    into = np.empty_like(left)
    ours, clock = prepare(FORMATS["fp32"], CPU, side, side, side).call, timer_for(CPU)
    operands = {"a": torch.from_numpy(left), "b": torch.from_numpy(right), "c": torch.empty(side, side), "torch": torch}
    theirs = benchmark.Timer("torch.mm(a, b, out=c)", globals=operands, num_threads=threads)

    def numpy_call():
        return np.matmul(left, right, out=into)

    found = {
        "ours": lambda calls: clock(ours, calls) / calls,
        "torch.utils.benchmark": lambda calls: theirs.timeit(calls).mean,
        "numpy, timeit": lambda calls: timeit.timeit(numpy_call, number=calls) / calls,
        "numpy, our timer": lambda calls: clock(numpy_call, calls) / calls,
    }
    if (product := blas_inside_pytorch()) is not None:
        direct = product(left, right, np.empty_like(left))
        assert np.allclose(direct(), numpy_call(), rtol=1e-3, atol=1e-3)
        found["BLAS of torch, direct"] = lambda calls: timeit.timeit(direct, number=calls) / calls
    return found


def in_turn(found, order):
    for run in found.values():
        run(3)
    calls = max(1, round(SAMPLE_S / min(found["ours"](3) for _ in range(3))))
    samples = {name: [] for name in found}
    names = list(found)
    for _ in range(ROUNDS):
        order.shuffle(names)
        for name in names:
            found[name](1)
            samples[name].append(found[name](calls))
    return samples


def report(side, threads, samples):
    flops = 2 * side**3
    print(f"\n{side}x{side} fp32, {threads} threads, {ROUNDS} rounds of about {SAMPLE_S * 1000:.0f} ms")
    for name, seconds in samples.items():
        found = middle(seconds)
        print(f"  {name:22s} median {flops / found.value / 1e9:7.1f} GFLOP/s, best {flops / min(seconds) / 1e9:7.1f}")
    for first, second in (
        ("ours", "torch.utils.benchmark"),
        ("ours", "BLAS of torch, direct"),
        ("numpy, our timer", "numpy, timeit"),
        ("ours", "numpy, timeit"),
    ):
        if second in samples:
            found = ratio(samples[first], samples[second])
            bounds = f"{found.low:.3f} to {found.high:.3f}"
            best = min(samples[first]) / min(samples[second])
            print(f"  seconds of {first} / {second}: {found.value:.3f} ({bounds}); of the fastest samples {best:.3f}")


@pytest.mark.parametrize("threads", sorted({1, torch.get_num_threads()}))
@pytest.mark.parametrize("side", [128, 256, 512, 1024])
def test_products_beside_other_tools(side, threads):
    threadpoolctl = pytest.importorskip("threadpoolctl")
    load = LoadMeter()
    with calibration_settings(CPU, threads), threadpoolctl.threadpool_limits(threads):
        report(side, threads, in_turn(contestants(side, threads), random.Random(side)))
    busy = load.read()
    print(f"  other programs kept {busy.processors} of {busy.of} processors busy ({busy.source})")
