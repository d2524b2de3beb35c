"""Compiles a model with torch.compile, and falls back to the model itself where that fails or changes its outputs.

It stands between torch.compile and the training loop.
"""

from __future__ import annotations

import sys
import warnings
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, Callable, Dict, Optional, Tuple

import torch
import torch.nn as nn

from pilot.core.actor_critic import ActorCritic
from pilot.utils.benchmarker import Benchmarker, Comparison


@dataclass
class CompilationResult:
    """What became of one compilation."""

    success: bool
    compiled_model: Optional[nn.Module] = None
    error_message: Optional[str] = None
    fallback_used: bool = False
    validation_passed: bool = False
    performance_improvement: Optional[float] = None
    metadata: Dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        text = "compiled" if self.success else f"not compiled: {self.error_message}"
        if self.performance_improvement:
            text += f", {self.performance_improvement:.2f} times as fast"
        return text


class CompilationValidator:
    """Compiles, validates and times one model after another."""

    def __init__(
        self,
        config_training,
        logger_func: Optional[Callable[[str], None]] = None,
        benchmarker: Optional[Benchmarker] = None,
    ) -> None:
        self.logger = logger_func or (lambda message: None)
        self.benchmarker = benchmarker
        self.enabled: bool = getattr(config_training, "enable_torch_compile", True)
        self.mode: str = str(getattr(config_training, "torch_compile_mode", "default"))
        self.dynamic = getattr(config_training, "torch_compile_dynamic", None)
        self.fullgraph: bool = bool(getattr(config_training, "torch_compile_fullgraph", False))
        self.backend = getattr(config_training, "torch_compile_backend", None)
        self.fallback = getattr(config_training, "enable_compilation_fallback", True)
        self.validate = getattr(config_training, "validate_compiled_output", True)
        self.tolerance: float = getattr(config_training, "compilation_validation_tolerance", 1e-4)
        self.warmup_steps: int = getattr(config_training, "compilation_warmup_steps", 5)
        self.benchmarked = getattr(config_training, "enable_compilation_benchmarking", True)
        self._compiled = 0

    def compile_model(
        self, model: ActorCritic, sample_input: torch.Tensor, model_name: str = "model"
    ) -> CompilationResult:
        """Compile a model; whatever goes wrong, the result holds one that runs."""
        if not self.enabled or not self._check_availability():
            return CompilationResult(False, model, "torch.compile is not available", fallback_used=True)
        try:
            compiled = self._attempt_compilation(model)
            if self.validate and not self._validate_compiled_model(model, compiled, sample_input):
                return CompilationResult(False, model, f"{model_name} computes something else", fallback_used=True)
            result = CompilationResult(True, compiled, validation_passed=True)
            if self.benchmarked and self.benchmarker:
                comparison: Comparison = self.benchmarker.compare(model, compiled, sample_input)
                result.performance_improvement = comparison.improvement
            self._compiled += 1
            return result
        except Exception as error:
            self.logger(f"{model_name} was not compiled: {error}")
            return CompilationResult(False, model, str(error), fallback_used=True)

    def _check_availability(self) -> bool:
        return hasattr(torch, "compile") and sys.version_info >= (3, 8)

    def _attempt_compilation(self, model):
        compile_kwargs = {"mode": self.mode, "fullgraph": self.fullgraph}
        compile_kwargs = {name: value for name, value in compile_kwargs.items() if value is not None}
        return torch.compile(model, **compile_kwargs)

    def _validate_compiled_model(self, original_model, compiled_model, sample_input) -> bool:
        original_model.eval()
        compiled_model.eval()
        with torch.no_grad():
            for _ in range(self.warmup_steps):
                compiled_model(sample_input)
            policy, value = original_model(sample_input)
            other_policy, other_value = compiled_model(sample_input)
        difference = max((policy - other_policy).abs().max().item(), (value - other_value).abs().max().item())
        return difference <= self.tolerance

    def get_compilation_status(self) -> Dict[str, Any]:
        """Return how many models were compiled, and with which settings."""
        return {"compiled": self._compiled, "enabled": self.enabled, "mode": self.mode}


def safe_compile_model(model, sample_input, config_training, logger_func=None) -> Tuple[nn.Module, CompilationResult]:
    """Compile one model and return it with the result."""
    result = CompilationValidator(config_training, logger_func).compile_model(model, sample_input)
    return result.compiled_model, result


def create_compilation_decorator(config_training, logger_func=None):
    """Return a decorator for functions that make models."""

    def decorator(model_func):
        @wraps(model_func)
        def wrapper(*args, **kwargs):
            model = model_func(*args, **kwargs)
            validator = CompilationValidator(config_training, logger_func)
            return model

        return wrapper

    return decorator
