"""Compile a model, keep it only if it is right, say what it is worth, and fall back to the eager one otherwise."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch

from ..compilation import is_compiled
from .benchmarker import PerformanceBenchmarker
from .compiler import CompilerWatch, has_code, undisturbed_compiler
from .config import CompileConfig
from .equivalence import Subject, compare_pass, try_eager
from .reference import reference_of
from .reporting import compiler_facts, pass_fact, speed_fact
from .results import CompilationResult
from .running import Conditions, run_once
from .state import Buffers, preserved
from .toolchain import missing_for
from .trees import Sample

if TYPE_CHECKING:
    from .config import Pass
    from .equivalence import PassComparison
    from .results import ComparisonResult

_log = logging.getLogger(__name__)
Log = Callable[[str], None]


class NotEquivalentError(RuntimeError):
    """The compiled model gives something else than the eager one."""


class CompilationValidator:
    """Compiles models under one configuration and remembers what came of it.

    Args:
        log: takes one line about each step; default: this module's logger, at level INFO.
        benchmarker: times eager against compiled; default: one with the configuration's pairing.
    """

    def __init__(
        self,
        config: CompileConfig | None = None,
        *,
        log: Log | None = None,
        benchmarker: PerformanceBenchmarker | None = None,
    ) -> None:
        self.config = config or CompileConfig()
        self._log = log or _log.info
        self._benchmarker = benchmarker or PerformanceBenchmarker(self.config.pairing)
        self._results: list[CompilationResult] = []

    def compile_model(
        self,
        model: torch.nn.Module,
        sample_input: Any,
        model_name: str = "model",
        *,
        other_samples: Sequence[Any] = (),
    ) -> CompilationResult:
        """Compile a model; never raises for what the compiler or the model does.

        Modes of all submodules, parameters, gradients, buffers, random generators, torch's flags and the compiler's
        settings and counters are as before, whatever happens. After a failure, code that was compiled is dropped.

        Args:
            sample_input: a tuple of positional arguments, a mapping of keywords, a `Sample`, or the one argument.
            other_samples: of other shapes, which the compiled model is to take as well; what is compiled again for
                them is counted.
        """
        attempt = _Attempt(self.config, model, model_name, self._log, self._benchmarker)
        try:
            result = attempt.run(sample_input, other_samples)
        except Exception as error:  # whatever a backend, a guard or the model raises: the eager model is there
            result = attempt.failed(error)
        self._results.append(result)
        self._log(str(result))
        return result

    def get_compilation_status(self) -> dict[str, Any]:
        """Return what was attempted, what came of it, and whether this machine can compile; plain data."""
        done = [result for result in self._results if result.success]
        return {
            "torch": str(torch.__version__),
            "backend": _backend_name(self.config.backend),
            "mode": self.config.mode,
            "dynamic": self.config.dynamic,
            "precisions": list(self.config.precisions),
            "missing": missing_for(self.config.backend, "cpu"),
            "attempted": len(self._results),
            "compiled": len(done),
            "validated": sum(result.validation_passed for result in self._results),
            "fell_back": sum(result.fallback_used for result in self._results),
            "last_error": self._results[-1].error_message if self._results else None,
        }


def safe_compile_model(
    model: torch.nn.Module,
    sample_input: Any,
    config: CompileConfig | None = None,
    *,
    model_name: str = "model",
    other_samples: Sequence[Any] = (),
    log: Log | None = None,
) -> tuple[torch.nn.Module, CompilationResult]:
    """Return the module to use, compiled if that is right and the eager one if not, and what came of it."""
    validator = CompilationValidator(config, log=log)
    result = validator.compile_model(model, sample_input, model_name, other_samples=other_samples)
    return result.compiled_model, result


@dataclass(slots=True)
class _Found:
    """What is known so far."""

    passes: list[PassComparison] = field(default_factory=list)
    speeds: list[ComparisonResult] = field(default_factory=list)
    compiler: dict[str, Any] = field(default_factory=dict)


class _Attempt:
    """One model on its way; `phase` is what it is at."""

    def __init__(
        self, config: CompileConfig, model: torch.nn.Module, name: str, log: Log, benchmarker: PerformanceBenchmarker
    ) -> None:
        self._config = config
        self._model: torch.nn.Module = getattr(model, "_orig_mod", model)
        self._name = name
        self._log = log
        self._benchmarker = benchmarker
        self._found = _Found()
        self.phase = "looking at the machine"

    def run(self, sample_input: Any, other_samples: Sequence[Any]) -> CompilationResult:
        model, config = self._model, self._config
        if missing := missing_for(config.backend, _device(model, sample_input).type):
            raise RuntimeError(missing)
        with undisturbed_compiler() as kept, preserved(model):
            self.phase = "reading the sample"
            if is_compiled(model):
                raise ValueError("a part of the model is compiled already, so there is no eager model to compare with")
            samples = [Sample.of(given, model) for given in (sample_input, *other_samples)]
            compiled = self._checked(samples)
            kept.code = True
        return CompilationResult(
            success=True,
            compiled_model=compiled,
            validation_passed=bool(self._found.passes),
            performance_improvement=self._found.speeds[0].improvement if self._found.speeds else None,
            metadata=self._metadata(),
        )

    def failed(self, error: Exception) -> CompilationResult:
        """Return the eager model, and why."""
        first = _first_line(error)
        named = first if isinstance(error, NotEquivalentError) else f"{type(error).__name__}: {first}"
        message = f"while {self.phase}: {named}"
        extra = {"phase": self.phase, "exception": type(error).__name__}
        return CompilationResult(
            success=False,
            compiled_model=self._model,
            error_message=message,
            fallback_used=True,
            metadata=self._metadata() | extra,
        )

    def _checked(self, samples: Sequence[Sample]) -> torch.nn.Module:
        model, config = self._model, self._config
        device = _device(model, samples[0])
        watch = CompilerWatch()
        self.phase = "compiling"
        compiled = _compile(model, config)
        again: tuple[str, ...] = ()
        try:
            if config.validate:
                again = self._validate(compiled, samples, device, watch)
            self._first_call(compiled, samples[0], device, watch)
            if config.benchmark:
                self._time(compiled, samples[0], device)
        finally:
            self._found.compiler = compiler_facts(watch.report(again))
        return compiled

    def _validate(
        self, compiled: torch.nn.Module, samples: Sequence[Sample], device: torch.device, watch: CompilerWatch
    ) -> tuple[str, ...]:
        """Compare all passes in all precisions; return why code was compiled again where it should not have been."""
        model, config = self._model, self._config
        self.phase = "building the float64 form"
        reference = reference_of(model)
        again: tuple[str, ...] = ()
        for precision in config.precisions:
            for which in config.passes:
                conditions = self._conditions(precision, which, device)
                _set_mode(model, which)
                self.phase = f"running the eager model ({precision}, {which})"
                conditions, random = try_eager(model, samples[0], conditions)
                call = _with_eager_random_numbers(model, config) if random else compiled
                for number, sample in enumerate(samples):
                    self.phase = f"validating ({precision}, {which}{', another shape' if number else ''})"
                    subject = Subject(compiled=call, model=model, reference=reference)
                    seen = compare_pass(subject, sample, conditions, samples=config.samples, watch=watch)
                    self._found.passes.append(seen)
                    again += (*(seen.first_compiled_for if number else ()), *seen.recompilations)
                    self._require(seen)
        return again

    def _require(self, seen: PassComparison) -> None:
        if not seen.holds:
            more = f" (and {len(seen.reasons) - 1} more)" if len(seen.reasons) > 1 else ""
            raise NotEquivalentError(f"{seen.reasons[0]}{more}")
        self._log(f"{self._name}: {seen.precision} {seen.which} is right, {len(seen.tensors)} tensors compared")

    def _first_call(
        self, compiled: torch.nn.Module, sample: Sample, device: torch.device, watch: CompilerWatch
    ) -> None:
        """Call what is handed out, as it will be called, and see that something was compiled."""
        which: Pass = "train" if "train" in self._config.passes else "inference"
        self.phase = "calling the compiled model"
        _set_mode(self._model, which)
        conditions = replace(self._conditions(self._config.precisions[0], which, device), input_gradients=False)
        buffers = Buffers(self._model)
        run_once(compiled, self._model, sample, conditions)
        buffers.restore()
        if not watch.graphs and not has_code(self._model):
            raise RuntimeError("the compiler captured nothing of it: it is switched off, or every frame was skipped")

    def _time(self, compiled: torch.nn.Module, sample: Sample, device: torch.device) -> None:
        which: Pass = "train" if "train" in self._config.passes else "inference"
        for precision in self._config.precisions:
            self.phase = f"timing ({precision}, {which})"
            _set_mode(self._model, which)
            conditions = replace(self._conditions(precision, which, device), input_gradients=False)
            mine = [one for one in self._found.passes if (one.precision, one.which) == (precision, which)]
            spent_s = max(0.0, mine[0].first_call_s - mine[0].call_s) if mine else 0.0
            found = self._benchmarker.compare_models(self._model, compiled, sample, conditions, compile_time_s=spent_s)
            self._found.speeds.append(found)
            self._log(f"{self._name}: {found}")

    def _conditions(self, precision: str, which: Pass, device: torch.device) -> Conditions:
        config = self._config
        return Conditions(
            precision=precision,
            which=which,
            device=device,
            seed=config.seed,
            input_gradients=config.input_gradients,
        )

    def _metadata(self) -> dict[str, Any]:
        return {
            "model": self._name,
            "backend": _backend_name(self._config.backend),
            "precisions": list(self._config.precisions),
            "passes": [pass_fact(one) for one in self._found.passes],
            "speed": [speed_fact(one) for one in self._found.speeds],
            "speed_lines": [str(one) for one in self._found.speeds],
            **self._found.compiler,
        }


def _compile(model: torch.nn.Module, config: CompileConfig, options: dict[str, Any] | None = None) -> torch.nn.Module:
    chosen = options if options is not None else dict(config.options) if config.options else None
    made: torch.nn.Module = torch.compile(  # type: ignore[assignment]
        model,
        backend=config.backend,
        mode=None if chosen is not None else config.mode,
        dynamic=config.dynamic,
        fullgraph=config.fullgraph,
        options=chosen,
    )
    return made


def _with_eager_random_numbers(model: torch.nn.Module, config: CompileConfig) -> torch.nn.Module:
    """Return the model compiled so that it draws random numbers as eager mode does.

    Inductor has a generator of its own. It is told to use eager's for the comparison only; as that is another setting
    of the backend, nothing that is compiled here is used by the model that is handed out.
    """
    if config.backend != "inductor":
        return _compile(model, config)
    import torch._inductor as inductor  # noqa: PLC0415

    given = dict(config.options or {})
    if config.mode is not None:
        given |= inductor.list_mode_options(config.mode, config.dynamic)
    return _compile(model, config, given | {"fallback_random": True})


def _set_mode(model: torch.nn.Module, which: Pass) -> None:
    """Put the model in the mode of a pass. One that trains in part already is left as it is for training."""
    if which != "train":
        model.eval()
    elif not any(module.training for module in model.modules()):
        model.train()


def _device(model: torch.nn.Module, sample: Any) -> torch.device:
    for parameter in model.parameters():
        return parameter.device
    for tensor in Sample.of(sample, model).tensors().values():
        return tensor.device
    return torch.device("cpu")


def _first_line(error: Exception) -> str:
    """Return the first line of a message, and the next one where the first only announces it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    announced = len(lines) > 1 and lines[0].endswith(":")
    return " ".join(lines[: 1 + announced])


def _backend_name(backend: Any) -> str:
    return backend if isinstance(backend, str) else getattr(backend, "__name__", type(backend).__name__)
