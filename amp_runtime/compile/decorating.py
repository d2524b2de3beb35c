"""A decorator that compiles a model on its first call, with the arguments of that call as the sample."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, overload

import torch

from .trees import Sample
from .validator import CompilationValidator

if TYPE_CHECKING:
    from collections.abc import Callable

    from .config import CompileConfig
    from .results import CompilationResult
    from .validator import Log


class CompiledOnFirstCall(torch.nn.Module):
    """A model that is compiled and validated when it is first called; until then, and on a fallback, it is eager.

    Parameters, buffers, modes and the names of its state are those of the model. Attributes are the model's too.
    """

    def __init__(self, model: torch.nn.Module, config: CompileConfig | None, log: Log | None, name: str) -> None:
        super().__init__()
        object.__setattr__(self, "_eager", model)
        object.__setattr__(self, "_chosen", None)
        # Shared, not registered under a name of its own, so that a checkpoint reads as one of the model.
        self._parameters, self._buffers, self._modules = model._parameters, model._buffers, model._modules
        self._validator = CompilationValidator(config, log=log)
        self._name = name
        self.compilation: CompilationResult | None = None

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        if self._chosen is None:
            self._eager.training = self.training
            self.compilation = self._validator.compile_model(self._eager, Sample(args, kwargs), self._name)
            object.__setattr__(self, "_chosen", self.compilation.compiled_model)
        return self._chosen(*args, **kwargs)

    def train(self, mode: bool = True) -> CompiledOnFirstCall:
        self._eager.train(mode)
        self.training = mode
        return self

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(self.__dict__["_eager"], name)


@overload
def compiled_on_first_call(target: torch.nn.Module, config: CompileConfig | None = None) -> CompiledOnFirstCall: ...


@overload
def compiled_on_first_call(
    target: Callable[..., torch.nn.Module], config: CompileConfig | None = None
) -> Callable[..., CompiledOnFirstCall]: ...


@overload
def compiled_on_first_call(
    target: None = None, config: CompileConfig | None = None, *, log: Log | None = None
) -> Callable[[Callable[..., torch.nn.Module]], Callable[..., CompiledOnFirstCall]]: ...


def compiled_on_first_call(target: Any = None, config: CompileConfig | None = None, *, log: Log | None = None) -> Any:
    """Decorate a model factory, a module class or a module: what it makes compiles and validates on its first call.

    `@compiled_on_first_call`, `@compiled_on_first_call(config=CompileConfig(...))` and
    `compiled_on_first_call(model, config)` are all fine. The result of the compilation is in `compilation`.
    """
    if target is None:
        return functools.partial(compiled_on_first_call, config=config, log=log)
    if isinstance(target, torch.nn.Module):
        return CompiledOnFirstCall(target, config, log, type(target).__name__)

    @functools.wraps(target, updated=())
    def make(*args: Any, **kwargs: Any) -> CompiledOnFirstCall:
        made = target(*args, **kwargs)
        if not isinstance(made, torch.nn.Module):
            raise TypeError(
                f"{target.__qualname__} returned {type(made).__name__}, which cannot be compiled: no module"
            )
        return CompiledOnFirstCall(made, config, log, target.__qualname__)

    return make
