"""Arithmetic and traffic by type of number, and where FP32 operands pull half results up (AMP801)."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

import torch
from torch.utils.flop_counter import sdpa_backward_flop_count, sdpa_flop_count

from .call import Call, is_float, is_half
from .operators import short
from .records import Operand, Promotion, Work

if TYPE_CHECKING:
    from .memory import Memory
    from .names import Names
    from .sites import Place

_CPU_ATTENTION = "aten._scaled_dot_product_flash_attention_for_cpu"  # torch has no formula for it


class Workload:
    def __init__(self, memory: Memory, names: Names) -> None:
        self._memory = memory
        self._names = names
        self._flops: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()
        self._modules: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._in_autocast: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._promotions: dict[Place, tuple[Operand, int]] = {}
        self.without_formula: Counter[str] = Counter()

    def after(self, call: Call) -> None:
        if not call.computes or call.operator.empty:
            return
        for _, tensor in (*call.inputs, *call.results):
            self._bytes[short(tensor.dtype)] += tensor.numel() * tensor.element_size()
        if flops := self._arithmetic(call):
            dtype = next((short(tensor.dtype) for _, tensor in call.inputs if is_float(tensor)), "other")
            self._flops[dtype] += flops
            self._modules[call.place.module][dtype] += flops
            if call.autocast:
                self._in_autocast[call.place.module][dtype] += flops
        if call.forward and call.autocast and not call.operator.written:
            self._promotes(call)

    def records(self) -> Work:
        return Work(
            flops=dict(self._flops),
            moved_bytes=dict(self._bytes),
            modules={module: dict(flops) for module, flops in self._modules.items()},
            in_autocast={module: dict(flops) for module, flops in self._in_autocast.items()},
        )

    def promotions(self) -> tuple[Promotion, ...]:
        return tuple(
            Promotion(site=place.site(), operand=operand, count=count)
            for place, (operand, count) in self._promotions.items()
        )

    def _arithmetic(self, call: Call) -> int:
        name = call.operator.name
        try:
            if name == _CPU_ATTENTION:
                return int(sdpa_flop_count(*(call.args[n].shape for n in range(3))))  # type: ignore[no-untyped-call]
            if name == f"{_CPU_ATTENTION}_backward":
                shapes = [call.args[n].shape for n in range(4)]
                return int(sdpa_backward_flop_count(*shapes))  # type: ignore[no-untyped-call]
            if call.operator.flops is not None:
                return int(call.operator.flops(*call.args, **call.kwargs, out_val=call.out))
        except Exception:  # torch's formula does not know this form of the operator: counted, and said
            self.without_formula[name] += 1
        return 0

    def _promotes(self, call: Call) -> None:
        """Half and FP32 went in as tensors of the same standing, and FP32 came out."""
        results = [tensor for _, tensor in call.results]
        if len(results) != 1 or results[0].dtype is not torch.float32 or call.place in self._promotions:
            self._again(call, results)
            return
        floats = [(name, tensor) for name, tensor in call.inputs if is_float(tensor) and tensor.dim()]
        wide = next(((name, tensor) for name, tensor in floats if tensor.dtype is torch.float32), None)
        if wide is None or not any(is_half(tensor) for _, tensor in floats):
            return
        name, tensor = wide
        operand = Operand(name=name, dtype=short(tensor.dtype), shape=tuple(tensor.shape), origin=self._origin(tensor))
        self._promotions[call.place] = (operand, 1)

    def _again(self, call: Call, results: list[torch.Tensor]) -> None:
        if call.place in self._promotions and results and results[0].dtype is torch.float32:
            operand, count = self._promotions[call.place]
            self._promotions[call.place] = (operand, count + 1)

    def _origin(self, tensor: torch.Tensor) -> str:
        name = self._names.of_storage(int(tensor.untyped_storage()._cdata))
        cell = self._memory.find(tensor)
        if name or cell is None or cell.place is None:
            return name
        return f"{cell.place.module} {cell.place.operator}".strip()
