"""What a compilation is asked to be and what is checked of it: one frozen value. No torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

from ..benchmark.pairing import Pairing

if TYPE_CHECKING:
    from collections.abc import Mapping

Pass = Literal["train", "eval", "inference"]
PASSES: tuple[Pass, ...] = get_args(Pass)
PRECISIONS = ("fp32", "bf16", "fp16")
FEWEST_SAMPLES = 6  # with fewer, no systematic error of a single number could be told from rounding


@dataclass(frozen=True, slots=True, kw_only=True)
class CompileConfig:
    """How a model is compiled, and how its compiled form is checked and timed.

    Args:
        backend: a name that `torch.compile` knows, or a backend function.
        mode: as `torch.compile` takes it; None with `options`.
        dynamic: whether shapes are symbols; None: as soon as one changes.
        fullgraph: a graph break is an error.
        options: of the backend.
        precisions: in which the compiled model is to be right: any of "fp32", "bf16", "fp16" (autocast). Members of
            `amp_runtime.Precision` are such names.
        passes: "train" and "eval" compare outputs and gradients, "inference" outputs in eval mode without gradients.
        samples: how often each pass is repeated, each time with inputs and parameters moved by rounding.
        input_gradients: floating inputs are given gradients too while the train and eval passes are compared.
        seed: of random numbers in the model, of the gradients at its outputs, and of the rounding.
        validate: without it, nothing is compared, and the result says that nothing was validated.
        benchmark: whether eager and compiled are timed against each other, in every precision.
        pairing: how they are timed; its `steps` is a least number, short steps are timed several at a time.

    Raises:
        ValueError: an unknown precision or pass, too few samples, or `mode` together with `options`.
    """

    backend: Any = "inductor"
    mode: str | None = None
    dynamic: bool | None = None
    fullgraph: bool = False
    options: Mapping[str, Any] | None = None
    precisions: tuple[str, ...] = ("fp32",)
    passes: tuple[Pass, ...] = PASSES
    samples: int = 8
    input_gradients: bool = True
    seed: int = 0
    validate: bool = True
    benchmark: bool = True
    pairing: Pairing = field(default_factory=Pairing)

    def __post_init__(self) -> None:
        object.__setattr__(self, "precisions", tuple(str(name) for name in self.precisions))
        _check_names("precisions", self.precisions, PRECISIONS)
        _check_names("passes", self.passes, PASSES)
        if isinstance(self.samples, bool) or not isinstance(self.samples, int) or self.samples < FEWEST_SAMPLES:
            raise ValueError(f"samples must be a whole number of at least {FEWEST_SAMPLES}, not {self.samples!r}")
        if self.mode is not None and self.options is not None:
            raise ValueError("torch.compile takes a mode or options; put what the mode stands for into the options")
        if not (isinstance(self.backend, str) or callable(self.backend)):
            raise ValueError(f"backend must be a name or a function, not {self.backend!r}")


def _check_names(what: str, names: tuple[str, ...], known: tuple[str, ...]) -> None:
    if not names:
        raise ValueError(f"{what} is empty, so nothing would be compiled for; choose from {', '.join(known)}")
    for name in names:
        if name not in known:
            raise ValueError(f"{what} names {name!r}, which is none of {', '.join(known)}")
