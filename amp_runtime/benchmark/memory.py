"""What one training step keeps in memory, by kind, exactly and on any device."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch
from torch.optim.optimizer import register_optimizer_step_pre_hook
from torch.utils._python_dispatch import TorchDispatchMode

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch.optim import Optimizer

METHOD = "torch.autograd.graph.saved_tensors_hooks, unique storages, one step"
_TRIES = 40  # steps that a loss scaler may skip before one reaches the optimizer
_COMPRESSED = {torch.sparse_csr: "row", torch.sparse_bsr: "row", torch.sparse_csc: "col", torch.sparse_bsc: "col"}


class NoStepError(RuntimeError):
    """No optimizer step was seen, so there is nothing to measure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryUse:
    """Bytes of one training step, each storage counted once.

    Args:
        weights: parameters and buffers of the model, and whatever else its optimizers train.
        gradients: when the optimizer steps.
        optimizer_state: after that step.
        activations: the most that autograd kept for backward at one time, weights, buffers and copies left out.
        weight_copies: the most that autograd kept at one time of the copies that autocast makes of weights.
        allocator_peak: on CUDA, the most that the allocator held above what was there before; else None.
    """

    weights: int
    gradients: int
    optimizer_state: int
    activations: int
    weight_copies: int
    allocator_peak: int | None = None

    @property
    def whole(self) -> int:
        """All five together: what is needed at most, as they are not all at their peak at one time."""
        return self.weights + self.gradients + self.optimizer_state + self.activations + self.weight_copies


class _Casts(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes the storages into which weights are cast. They are held, so that no other tensor gets their place."""

    def __init__(self, weights: set[int]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._weights = weights
        self._held: dict[int, torch.UntypedStorage] = {}

    def __contains__(self, pointer: int) -> bool:
        return pointer in self._held

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func is torch.ops.aten._to_copy.default and _pointers(args[0]) & self._weights:
            self._held |= {storage.data_ptr(): storage for storage in _storages(result)}
        return result


class ActivationMeter:
    """Counts what autograd saves for backward, and forgets it when autograd does.

    Args:
        weights: tensors that are there anyway, parameters and buffers; copies of them are counted apart.
    """

    def __init__(self, weights: Iterable[torch.Tensor]) -> None:
        self.peak = 0
        self.copies_peak = 0
        self._now = 0
        self._copies_now = 0
        self._weights = {pointer for tensor in weights for pointer in _pointers(tensor)}
        self._casts = _Casts(self._weights)
        self._users: dict[int, int] = {}
        self._lock = threading.RLock()  # backward releases tensors in threads of its own, or inside a collection

    @contextmanager
    def watching(self) -> Iterator[ActivationMeter]:
        """Count what the body saves."""
        with self._casts, torch.autograd.graph.saved_tensors_hooks(self._pack, self._unpack):
            yield self

    def _pack(self, tensor: torch.Tensor) -> _Held | torch.Tensor:
        sizes = {s.data_ptr(): s.nbytes() for s in _storages(tensor) if s.data_ptr() not in self._weights}
        if not sizes:
            return tensor
        with self._lock:
            for pointer, size in sizes.items():
                if not self._users.get(pointer):
                    self._add(pointer, size)
                self._users[pointer] = self._users.get(pointer, 0) + 1
            self.peak = max(self.peak, self._now)
            self.copies_peak = max(self.copies_peak, self._copies_now)
        return _Held(tensor, sizes, self)

    @staticmethod
    def _unpack(held: _Held | torch.Tensor) -> torch.Tensor:
        return held.tensor if isinstance(held, _Held) else held

    def _add(self, pointer: int, size: int) -> None:
        if pointer in self._casts:
            self._copies_now += size
        else:
            self._now += size

    def release(self, sizes: Mapping[int, int]) -> None:
        with self._lock:
            for pointer, size in sizes.items():
                self._users[pointer] -= 1
                if not self._users[pointer]:
                    del self._users[pointer]
                    self._add(pointer, -size)


class _Held:
    """A saved tensor. It dies with the node of the graph that saved it; until then its storage cannot be reused."""

    __slots__ = ("_meter", "_sizes", "tensor")

    def __init__(self, tensor: torch.Tensor, sizes: Mapping[int, int], meter: ActivationMeter) -> None:
        self.tensor = tensor
        self._sizes = sizes
        self._meter = meter

    def __del__(self) -> None:
        self._meter.release(self._sizes)


@dataclass(slots=True)
class _OptimizersSeen:
    """The optimizers that stepped, and the most gradients that were there when one did."""

    model: torch.nn.Module
    found: list[Optimizer] = field(default_factory=list)
    gradients: int = 0

    def trained(self) -> list[torch.Tensor]:
        mine = [p for optimizer in self.found for group in optimizer.param_groups for p in group["params"]]
        return [*self.model.parameters(), *self.model.buffers(), *mine]

    @contextmanager
    def watching(self) -> Iterator[None]:
        handle = register_optimizer_step_pre_hook(self._before)
        try:
            yield
        finally:
            handle.remove()

    def _before(self, optimizer: Optimizer, _args: Any, _kwargs: Any) -> None:
        if not any(optimizer is known for known in self.found):
            self.found.append(optimizer)
        gradients = [tensor.grad for tensor in self.trained() if tensor.grad is not None]
        self.gradients = max(self.gradients, stored_bytes(gradients))


def measure_memory(step: Callable[[], object], model: torch.nn.Module) -> MemoryUse:
    """Run a few training steps and say what one of them kept.

    Args:
        step: trains on one batch: forward, backward, optimizer. It is called twice, or until two calls in which the
            loss scaler let an optimizer step.
        model: what is trained.

    Raises:
        NoStepError: no optimizer stepped.
    """
    seen = _OptimizersSeen(model)
    with seen.watching():
        _until_one_steps(step, seen)  # brings the optimizers and their state into being
        meter = ActivationMeter(seen.trained())
        with meter.watching():
            _until_one_steps(step, seen)
    state = [tensor for optimizer in seen.found for tensor in _tensors(optimizer.state)]
    weights = seen.trained()
    return MemoryUse(
        weights=stored_bytes(weights),
        gradients=seen.gradients,
        optimizer_state=stored_bytes(state, without=weights),
        activations=meter.peak,
        weight_copies=meter.copies_peak,
    )


def with_allocator_peak(use: MemoryUse, peak: int) -> MemoryUse:
    """Return `use` with what the allocator held at most."""
    return replace(use, allocator_peak=peak)


def _until_one_steps(step: Callable[[], object], seen: _OptimizersSeen) -> None:
    seen.gradients = 0
    for _ in range(_TRIES):
        step()
        if seen.gradients:
            return
    raise NoStepError(f"no optimizer stepped with a gradient in {_TRIES} training steps, so no memory was measured")


def stored_bytes(tensors: Iterable[torch.Tensor], without: Iterable[torch.Tensor] = ()) -> int:
    """Return the bytes of the storages behind `tensors`, each once, less those that `without` has too."""
    left_out = {storage.data_ptr() for tensor in without for storage in _storages(tensor)}
    sizes = {storage.data_ptr(): storage.nbytes() for tensor in tensors for storage in _storages(tensor)}
    return sum(size for pointer, size in sizes.items() if pointer not in left_out)


def _pointers(tensor: torch.Tensor) -> set[int]:
    return {storage.data_ptr() for storage in _storages(tensor)}


def _storages(tensor: torch.Tensor) -> list[torch.UntypedStorage]:
    if tensor.layout is torch.strided:
        return [tensor.untyped_storage()]
    if tensor.layout is torch.sparse_coo:
        return [tensor._indices().untyped_storage(), tensor._values().untyped_storage()]
    if (kind := _COMPRESSED.get(tensor.layout)) is not None:
        other = "col" if kind == "row" else "row"
        parts = (getattr(tensor, f"c{kind}_indices")(), getattr(tensor, f"{other}_indices")(), tensor.values())
        return [part.untyped_storage() for part in parts]
    raise TypeError(f"the memory of a tensor with layout {tensor.layout} cannot be counted")


def _tensors(value: object) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _tensors(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _tensors(item)
