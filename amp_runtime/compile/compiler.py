"""What the compiler did: graphs, breaks, recompilations and why; and its own state, given back."""

from __future__ import annotations

import warnings
from collections import Counter
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import CodeType

_GRAPHS_NEEDED = 64  # passes, precisions and shapes have graphs of their own; the default limit is 8
_LIMITS = ("recompile_limit", "cache_size_limit")  # the second is its name before torch 2.6


@dataclass(frozen=True, slots=True, kw_only=True)
class CompilerReport:
    """What was compiled.

    Args:
        graphs: that were captured and compiled.
        graph_breaks: how often a graph ended before the model did, by reason; a number under 1 cannot occur.
        recompilations: why code was compiled again, one guard that failed each.
    """

    graphs: int
    graph_breaks: Mapping[str, int]
    recompilations: tuple[str, ...] = ()


class CompilerWatch:
    """Reads the compiler's counters from where they stood when it was made."""

    def __init__(self) -> None:
        from torch._dynamo import utils  # noqa: PLC0415 - importing the compiler takes a second

        self._utils: Any = utils
        self._breaks = Counter(utils.counters["graph_break"])
        self._graphs = self._graphs_now()
        self._failures = self._failures_now()

    def report(self, recompilations: tuple[str, ...] = ()) -> CompilerReport:
        breaks = Counter(self._utils.counters["graph_break"])
        breaks.subtract(self._breaks)
        return CompilerReport(
            graphs=self.graphs,
            graph_breaks={_said(reason): count for reason, count in breaks.items() if count > 0},
            recompilations=recompilations,
        )

    @property
    def graphs(self) -> int:
        """How many graphs were captured so far."""
        return self._graphs_now() - self._graphs

    def compiled_again(self) -> tuple[str, ...]:
        """Return the reasons for which code was compiled again since this was asked for last."""
        before, self._failures = self._failures, self._failures_now()
        return tuple(
            " ".join(str(reason).split())
            for code, reasons in self._failures.items()
            for reason in reasons[len(before.get(code, ())) :]
        )

    def _graphs_now(self) -> int:
        return int(self._utils.counters["stats"]["unique_graphs"])

    def _failures_now(self) -> dict[Any, list[Any]]:
        return {code: list(reasons) for code, reasons in self._utils.guard_failures.items()}


def _said(reason: str) -> str:
    """Return what happened and why; hints and links are left out."""
    return " ".join(str(reason).partition("Hint:")[0].partition("Developer debug context:")[0].split())


class _Caches:
    """The functions that the compiler has code for."""

    def __init__(self) -> None:
        from torch._dynamo import convert_frame  # noqa: PLC0415

        self._seen: Any = getattr(convert_frame, "input_codes", None)
        self._before = {id(code) for code in self._codes()}

    def discard_new(self) -> None:
        """Drop the code of functions for which there was none before."""
        reset = getattr(torch._C._dynamo.eval_frame, "reset_code", None)
        for code in self._codes():
            if reset is not None and id(code) not in self._before:
                reset(code)

    def _codes(self) -> list[CodeType]:
        found = (reference() for reference in getattr(self._seen, "seen", ()))
        return [code for code in found if code is not None]


@contextmanager
def undisturbed_compiler() -> Iterator[_Kept]:
    """Give the compiler's settings and counters back; and its code too, unless that is to be kept.

    Inside, a failure to compile is not hidden, a warning that the compiler gives about its own code is, and every pass,
    precision and shape may have its own graph.
    """
    from torch._dynamo import config, utils  # noqa: PLC0415

    counters = {name: Counter(counted) for name, counted in utils.counters.items()}
    failures = {code: list(reasons) for code, reasons in utils.guard_failures.items()}
    settings, caches, kept = _settings(config), _Caches(), _Kept()
    try:
        with ExitStack() as stack, warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"torch\.")  # of the compiler about itself, not of the model
            stack.enter_context(config.patch(suppress_errors=False))
            for name in _LIMITS:
                if hasattr(config, name):
                    limit = max(_GRAPHS_NEEDED, getattr(config, name))
                    stack.enter_context(config.patch({name: limit}))
                    break
            yield kept
    finally:
        _restore_settings(config, settings)
        _refill(utils.counters, counters)
        _refill(utils.guard_failures, failures)
        if not kept.code:
            caches.discard_new()


@dataclass(slots=True)
class _Kept:
    """Whether what was compiled is to stay compiled."""

    code: bool = False


def _settings(config: Any) -> dict[str, Any]:
    copied = getattr(config, "get_config_copy", None) or getattr(config, "shallow_copy_dict", None)
    return dict(copied()) if callable(copied) else {}


def _restore_settings(config: Any, before: dict[str, Any]) -> None:
    now = _settings(config)
    for name, value in before.items():
        if now.get(name, value) is not value and now.get(name) != value:
            setattr(config, name, value)


def _refill(there: Any, before: Mapping[Any, Any]) -> None:
    there.clear()
    there.update(before)


def has_code(model: torch.nn.Module) -> bool:
    """Say whether there is compiled code for a model or a part of it, of this compilation or an earlier one."""
    entries = getattr(torch._C._dynamo.eval_frame, "_debug_get_cache_entry_list", None)
    codes = [getattr(type(module).forward, "__code__", None) for module in model.modules()]
    return entries is not None and any(code is not None and bool(entries(code)) for code in codes)
