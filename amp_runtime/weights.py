"""The weights of a model as a safetensors file: names without the marks of a wrapper, tied weights stored once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from amp_runtime.wrapping import unwrapped

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_COMPILED = "_orig_mod."


def model_state(model: torch.nn.Module) -> dict[str, Any]:
    """Return the model's state under the names that it has without wrappers, compiled submodules included."""
    return {name.replace(_COMPILED, ""): value for name, value in unwrapped(model).state_dict().items()}


def load_model_state(model: torch.nn.Module, state: Mapping[str, Any]) -> None:
    """Put a state of `model_state` into a model, wrapped or not. Raises RuntimeError where names or shapes differ."""
    inner = unwrapped(model)
    own = {name: name.replace(_COMPILED, "") for name in inner.state_dict()}
    inner.load_state_dict({name: state[plain] for name, plain in own.items()})


def write_weights(state: Mapping[str, torch.Tensor], path: Path) -> None:
    """Write tensors to `path`. Names that stand for one and the same tensor (tied weights) are stored once.

    Raises:
        ValueError: a tensor that is sparse, distributed or has no data.
    """
    stored: dict[str, torch.Tensor] = {}
    aliases: dict[str, str] = {}
    first: dict[object, str] = {}
    for name, tensor in state.items():
        _refuse_unusual(name, tensor)
        # Memory that only overlaps (a view of a part) is stored twice; only the very same tensor is tied.
        place = (tensor.device, tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride())
        if tensor.numel() and place in first:
            aliases[name] = first[place]
            continue
        first[place] = name
        stored[name] = tensor.detach().to("cpu", copy=True).contiguous()
    save_file(stored, path, metadata={"format": "pt", "aliases": json.dumps(aliases)})


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """Return the tensors of a file of `write_weights`, on the CPU."""
    with safe_open(path, framework="pt", device="cpu") as file:
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        aliases = json.loads((file.metadata() or {}).get("aliases", "{}"))
    return {**state, **{name: state[target] for name, target in aliases.items()}}


def _refuse_unusual(name: str, tensor: torch.Tensor) -> None:
    if type(tensor).__name__ == "DTensor":
        raise ValueError(f"{name!r} is spread over several processes; gather the full state before it is saved")
    if tensor.layout is not torch.strided or tensor.is_quantized:
        raise ValueError(f"{name!r} is not a dense tensor, which is all that safetensors can hold")
    if tensor.device.type == "meta":
        raise ValueError(f"{name!r} is on the meta device and has no data to save")
