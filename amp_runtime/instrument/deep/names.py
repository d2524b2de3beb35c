"""Names of modules, parameters and buffers, learnt from the root models that are met."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

_WRAPPERS = ("_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module.")
_PARALLEL = ("DistributedDataParallel", "DataParallel")


class Names:
    """Names of one step. It holds the modules, so an id cannot come to mean another one while it lives."""

    def __init__(self) -> None:
        self._roots: list[torch.nn.Module] = []
        self._prefixes: dict[str, int] = {}
        self._modules: dict[int, tuple[torch.nn.Module, str]] = {}
        self._tensors: dict[int, tuple[torch.Tensor, str]] = {}
        self._storages: dict[int, tuple[torch.Tensor, str]] = {}

    def known(self, module: torch.nn.Module) -> bool:
        return id(module) in self._modules

    def module(self, module: torch.nn.Module) -> str:
        return self._modules[id(module)][1]

    def add(self, module: torch.nn.Module, root: torch.nn.Module | None) -> None:
        """Learn the names of everything below a root; a module that is not below it goes by its class."""
        if root is not None:
            prefix = self._prefix(root)
            shed = "module." if type(root).__name__ in _PARALLEL else ""
            for name, child in root.named_modules():
                known = prefix + _plain(name.removeprefix(shed)) if name else type(root).__name__
                self._modules.setdefault(id(child), (child, known))
            for name, tensor in _tensors(root):
                known = prefix + _plain(name.removeprefix(shed))
                self._tensors.setdefault(id(tensor), (tensor, known))
                if _has_storage(tensor):
                    self._storages.setdefault(tensor.untyped_storage()._cdata, (tensor, known))
        self._modules.setdefault(id(module), (module, type(module).__name__))

    def of_tensor(self, tensor: torch.Tensor) -> str:
        """Return the qualified name of a parameter or buffer, or ""."""
        found = self._tensors.get(id(tensor))
        return "" if found is None else found[1]

    def of_storage(self, key: int) -> str:
        """Return the name of the parameter or buffer in this memory, or ""."""
        found = self._storages.get(key)
        return "" if found is None else found[1]

    def tensor_at(self, key: int) -> torch.Tensor | None:
        """Return the parameter or buffer in this memory."""
        found = self._storages.get(key)
        return None if found is None else found[0]

    def _prefix(self, root: torch.nn.Module) -> str:
        """Return what goes before the names below a root: nothing for the first one that has any."""
        if any(root is other for other in self._roots):
            return self._modules[id(root)][1].join(("", ".")) if root is not self._roots[0] else ""
        if not any(True for _ in root.children()) and not any(True for _ in _tensors(root)):
            return f"{type(root).__name__}."
        self._roots.append(root)
        if len(self._roots) == 1:
            return ""
        kind = type(root).__name__
        self._prefixes[kind] = number = self._prefixes.get(kind, 0) + 1
        return f"{kind}." if number == 1 else f"{kind}#{number}."


def _tensors(root: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    yield from root.named_parameters()
    yield from root.named_buffers()


def _plain(name: str) -> str:
    for wrapper in _WRAPPERS:
        name = name.replace(wrapper, "")
    return name


def _has_storage(tensor: torch.Tensor) -> bool:
    return tensor.layout is torch.strided and type(tensor).__torch_dispatch__ is torch.Tensor.__torch_dispatch__
