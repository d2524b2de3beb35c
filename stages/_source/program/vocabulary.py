"""Decides which dotted names are autocast, a gradient scaler, an optimizer or gradient clipping."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from stages._source.patterns import late

if TYPE_CHECKING:
    from collections.abc import Iterable

_TORCH_LIKE = r"(?:torch|torch_[a-z]+|intel_extension_for_pytorch|ipex)"
_AUTOCAST = late(rf"{_TORCH_LIKE}(?:\.\w+)*\.autocast|transformer_engine(?:\.\w+)*\.(?:fp8_)?autocast")
_SCALER = late(rf"(?:{_TORCH_LIKE}|fairscale|apex|deepspeed|colossalai)(?:\.\w+)*\.(?:\w*GradScaler|\w*LossScaler)")
_OPTIMIZER = late(r"\w+(?:\.\w+)*\.optim(?:izers?)?(?:\.\w+)*\.[A-Z]\w*")
_OPTIMIZER_CLASS = late(
    r"(?:transformers|deepspeed|apex|bitsandbytes|torch_optimizer|lion_pytorch)(?:\.\w+)*"
    r"\.\w*(?:Adam\w*|Adafactor|SGD\w*|Lion\w*|LAMB|Lamb)"
    r"|(?:torch_optimizer|pytorch_optimizer|distributed_shampoo)(?:\.\w+)*\.(?:[A-Z]\w*)"
)
_NO_OPTIMIZER = late(
    r"lr_scheduler|swa_utils|Schedul|LR$|Averag|E(?:MA|ma)|Config$|Args$|Arguments$|Error$|Type$|Names?$"
)
_CLIPPERS = frozenset(
    [
        "clip_grad_norm_",
        "clip_grad_norm",
        "clip_grad_value_",
        "clip_grads_with_norm_",
        "dispatch_clip_grad",
        "adaptive_clip_grad",
        "clip_gradients",
    ]
)
_FRAMEWORK = late(r"accelerate(?:\.\w+)*\.Accelerator|(?:lightning|lightning_fabric)(?:\.\w+)*\.Fabric")
_TRAINER = late(r"(?:lightning|pytorch_lightning)(?:\.\w+)*\.Trainer")
_PRECISION_PLUGIN = late(r"(?:lightning|pytorch_lightning|lightning_fabric)(?:\.\w+)*\.MixedPrecision(?:Plugin)?")
_HF_ARGUMENTS = late(r"transformers(?:\.\w+)*\.(?:Seq2Seq)?TrainingArguments")
_ROOTS = late(rf"(?:{_TORCH_LIKE}|lightning\w*|pytorch_lightning|accelerate|apex|deepspeed|fairscale)(?:\.|$)")

_SCALER_NAME = late(
    r"_*(?:(?:grad|gradient|amp|loss|fp16)_?)?scaler\d*|(?:[gd]|gen|disc|critic|generator|discriminator)_scaler|(?:grad|amp)_?scaler_\w+|scaler_[a-z]{1,3}"
)
_OPTIMIZER_NAME = late(
    r"_*(?:\w+_)?(?:optimizers?|optim|opt|optimiser)(?:_?[a-zA-Z]{1,3}|\d+|_(?:gen|disc|actor|critic\w*|policy|value|model|main))?"
)
_NO_OPTIMIZER_NAME = late(r"(?:^|_)(?:lr|cfg|arg|args|fn|cls|idx|id|ids|str|key|num|no)$")
_FRAMEWORK_NAME = late(r"_*(?:accelerator|fabric)")


def names_autocast(origins: Iterable[str]) -> bool:
    return any(_is_autocast(origin) for origin in origins)


def names_scaler(origins: Iterable[str]) -> bool:
    return any(_is_scaler(origin) for origin in origins)


@cache  # every call of every file is asked about, by several rules
def _is_autocast(origin: str) -> bool:
    return _AUTOCAST.fullmatch(origin) is not None


@cache
def _is_scaler(origin: str) -> bool:
    return _SCALER.fullmatch(origin) is not None


def names_optimizer(origins: Iterable[str]) -> bool:
    return any(
        (_OPTIMIZER.fullmatch(origin) or _OPTIMIZER_CLASS.fullmatch(origin)) and not _NO_OPTIMIZER.search(origin)
        for origin in origins
    )


def names_clipping(origins: Iterable[str]) -> bool:
    return any(origin.rpartition(".")[2] in _CLIPPERS for origin in origins)


def names_framework(origins: Iterable[str]) -> bool:
    """Recognise objects whose own methods autocast, scale and clip: accelerate's Accelerator, Lightning's Fabric."""
    return any(_FRAMEWORK.fullmatch(origin) for origin in origins)


def precision_arguments(origins: Iterable[str]) -> tuple[str, ...]:
    """Return the arguments by which the constructor of a framework's object turns autocast on."""
    for origin in origins:
        if _TRAINER.fullmatch(origin) or _PRECISION_PLUGIN.fullmatch(origin):
            return ("precision",)
        if _FRAMEWORK.fullmatch(origin):
            return ("precision",) if origin.endswith("Fabric") else ("mixed_precision",)
        if _HF_ARGUMENTS.fullmatch(origin):
            return ("fp16", "bf16")
    return ()


def means_mixed(value: object) -> bool:
    """Say whether a literal precision means autocast. Lightning reads 16 and "bf16" as mixed, "16-true" as not."""
    if isinstance(value, str):
        return "mixed" in value or value in ("16", "bf16", "fp16", "fp8")
    return value is True or value == 16


def is_training_root(origin: str) -> bool:
    return _ROOTS.match(origin) is not None


def called_like_scaler(name: str) -> bool:
    return _SCALER_NAME.fullmatch(name) is not None


def called_like_optimizer(name: str) -> bool:
    return _OPTIMIZER_NAME.fullmatch(name) is not None and not _NO_OPTIMIZER_NAME.search(name)


def called_like_framework(name: str) -> bool:
    return _FRAMEWORK_NAME.fullmatch(name) is not None


def called_like_autocast(name: str) -> bool:
    return "autocast" in name.lower()
