"""Makes host memory pass for memory of a CUDA device and back, without a copy: both tensors share the bytes.

DLPack is the exchange format between frameworks: a capsule with a struct that says where a tensor lies, in what layout
and who frees it. The place is a plain number in that struct (`DLDeviceType` of dlpack.h: CPU 1, CUDA 2), so a capsule
of a CPU tensor whose place is rewritten becomes a plain `torch.Tensor` on `cuda:0`, with CUDA's dispatch keys.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

_CPU, _CUDA = 1, 2


class _Place(ctypes.Structure):
    """The first fields of a `DLManagedTensor`, the same in every release of dlpack.h."""

    _fields_ = [("data", ctypes.c_void_p), ("device_type", ctypes.c_int32), ("device_id", ctypes.c_int32)]


_address = ctypes.pythonapi.PyCapsule_GetPointer
_address.restype = ctypes.c_void_p
_address.argtypes = [ctypes.py_object, ctypes.c_char_p]


def to_cuda(tensor: Tensor) -> Tensor:
    """Return a strided CPU tensor as one on `cuda:0`: same bytes, shape and strides, no autograd history."""
    return _moved(tensor.resolve_conj().resolve_neg(), _CUDA)


def to_cpu(tensor: Tensor) -> Tensor:
    """Return what `to_cuda` made, or a view of it, as a CPU tensor on the same bytes."""
    moved = _moved(tensor, _CPU)
    # DLPack knows nothing of views whose values are to be read as conjugate or negated.
    if tensor.is_complex() and tensor.is_conj():
        moved = moved.conj()
    return torch._neg_view(moved) if tensor.is_neg() else moved


def _moved(tensor: Tensor, device_type: int) -> Tensor:
    capsule = torch._C._to_dlpack(tensor)
    place = _Place.from_address(_address(capsule, b"dltensor"))
    place.device_type, place.device_id = device_type, 0
    moved: Tensor = torch._C._from_dlpack(capsule)
    return moved
