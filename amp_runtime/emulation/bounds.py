"""What a run under emulation cannot show: a report that relies on it has to say so."""

from __future__ import annotations

_LIMITS = (
    "Numbers are those of the CPU's kernels: the order of sums, the width of accumulators and the algorithms of cuBLAS "
    "and cuDNN differ, so an overflow inside of a half-precision sum or product may come on one device only.",
    "Where the CPU has no kernel in half precision, the operator was computed in float32 and rounded once.",
    "TF32 does not happen: float32 products keep all their bits.",
    "Fused attention and cuDNN's recurrent layers were replaced by their plain formulas.",
    "Speed, memory, out-of-memory errors, streams, events, synchronisation and CUDA graphs are not those of a GPU; "
    "work is done when a call returns, so no race can show.",
    "Random numbers on the device, dropout's among them, come from a CPU generator and differ from CUDA's.",
    "torch.compile ran the code eagerly, so what a compiler changes was not seen.",
    "Custom CUDA kernels and extensions (Triton, FlashAttention, Apex, bitsandbytes) did not run.",
    "One device was emulated: several GPUs, NCCL and sharding were not.",
    "Sparse and quantised tensors are not emulated on the device.",
)


def limits() -> tuple[str, ...]:
    """Return what a run under emulation cannot show, one sentence each."""
    return _LIMITS
