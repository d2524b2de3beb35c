"""Find the tensor of predictions in whatever a model returns, or say which ones it could be."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import torch

# Names under which models return their predictions, most telling first.
_NAMES = ("logits", "prediction_logits", "lm_logits", "predictions", "scores", "output", "outputs")
_LISTED = 6  # candidates that an error spells out


class AmbiguousOutputError(ValueError):
    """No tensor, or more than one, could be the predictions."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Located:
    """A tensor and the way to it: `("logits",)`, `("decoder", 0)`."""

    path: tuple[str | int, ...]
    tensor: torch.Tensor


def output_tensor(output: object, *, name: str | None = None, width: int | None = None) -> torch.Tensor:
    """Return the predictions in a model's output.

    The output may be a tensor, or tuples, lists, mappings (a `ModelOutput` of transformers is one), dataclasses,
    named tuples and objects with a `logits` attribute, nested. A loss, which is a floating tensor of no dimensions,
    and integer or boolean tensors are no predictions. Of the rest, one under a telling name wins (`logits` before
    `predictions`, `scores`, `output`), then the only one that lies less deep than all others.

    Args:
        name: the key or attribute that holds it, where that is known.
        width: size of its last dimension, such as the vocabulary; all others are left out.

    Raises:
        AmbiguousOutputError: none or several are left; the message lists them with their shapes.
    """
    if isinstance(output, torch.Tensor) and name is None and width is None:
        return output
    found = [one for one in _walk(output, ()) if one.tensor.is_floating_point() and one.tensor.dim() > 0]
    candidates = [
        one for one in found if (width is None or one.tensor.shape[-1] == width) and (name is None or name in one.path)
    ]
    chosen = _by_name(candidates) or _shallowest(candidates)
    if len(chosen) == 1:
        return chosen[0].tensor
    raise AmbiguousOutputError(_problem(output, found, chosen, name, width))


def predictions(model: torch.nn.Module, batch: Any, **choice: Any) -> torch.Tensor:
    """Call `model` with a batch as its type asks for (a mapping as keywords, a tuple as arguments); find its tensor.

    Args:
        choice: `name` or `width` of `output_tensor`.

    Raises:
        AmbiguousOutputError: see `output_tensor`.
    """
    if isinstance(batch, Mapping):
        return output_tensor(model(**batch), **choice)
    if isinstance(batch, (tuple, list)):
        return output_tensor(model(*batch), **choice)
    return output_tensor(model(batch), **choice)


def _walk(value: object, path: tuple[str | int, ...]) -> Iterator[Located]:
    if isinstance(value, torch.Tensor):
        yield Located(path=path, tensor=value)
        return
    for key, inner in _parts(value):
        yield from _walk(inner, (*path, key))


def _parts(value: object) -> Iterator[tuple[str | int, object]]:
    if isinstance(value, Mapping):
        yield from ((str(key), inner) for key, inner in value.items())
    elif isinstance(value, tuple) and hasattr(value, "_asdict"):
        yield from value._asdict().items()
    elif isinstance(value, (tuple, list)):
        yield from enumerate(value)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        yield from ((field.name, getattr(value, field.name)) for field in dataclasses.fields(value))
    else:
        yield from ((name, getattr(value, name)) for name in _NAMES if hasattr(value, name))


def _by_name(candidates: list[Located]) -> list[Located]:
    for name in _NAMES:
        named = [one for one in candidates if one.path and one.path[-1] == name]
        if named:
            return _shallowest(named)
    return []


def _shallowest(candidates: list[Located]) -> list[Located]:
    depth = min((len(one.path) for one in candidates), default=0)
    return [one for one in candidates if len(one.path) == depth]


def _problem(output: object, found: list[Located], chosen: list[Located], name: str | None, width: int | None) -> str:
    asked = [f"name={name!r}"] * (name is not None) + [f"width={width}"] * (width is not None)
    given = f" with {', '.join(asked)}" if asked else ""
    listed = ", ".join(_shown(one) for one in (chosen or found)[:_LISTED])
    if not found:
        return f"the model returned {type(output).__name__}, in which there is no floating tensor with a dimension"
    if not chosen:
        return f"no tensor of the model's output fits{given}; there are: {listed}"
    return f"the predictions could be any of {listed}{given}; give the `name` or the `width` of the right one"


def _shown(one: Located) -> str:
    return f"{'.'.join(map(str, one.path)) or 'the output'} {tuple(one.tensor.shape)}"
