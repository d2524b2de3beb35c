"""Find out how many tokens a language model knows, from its configuration or from the shapes of its weights."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

_SIZE_NAMES = ("vocab_size", "n_vocab", "vocabulary_size", "num_embeddings")
_PADDED_NAMES = ("padded_vocab_size",)
_NESTED_NAMES = ("text_config", "decoder", "language_config", "llm_config", "text_encoder")
_HEAD = re.compile(
    r"(^|[._])(lm_?head|head|output|out|decoder|unembed\w*|to_logits|generator|proj_out)$", re.IGNORECASE
)
_NO_TOKENS = re.compile(r"pos(ition)?s?(_|\b|emb)|wpe|type|segment|time|class|label", re.IGNORECASE)


class VocabularyError(ValueError):
    """The size is nowhere to be found, or two places disagree."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """A vocabulary.

    Args:
        size: tokens are the numbers from 0 to `size` - 1.
        width: last dimension of the logits; larger than `size` where the weights were padded, for matrix units.
        source: where this was read.
    """

    size: int
    width: int
    source: str


def detect_vocabulary(model: nn.Module) -> Vocabulary:
    """Find a model's vocabulary.

    Asked in turn, the first that answers counts: the configuration (`model.config`, an object or a mapping, with
    `vocab_size` and its like, also in a nested text configuration); `get_output_embeddings()` and
    `get_input_embeddings()` as models of transformers have them; an embedding that shares its weights with an output
    layer; an output layer of a telling name (`lm_head`, `head`) whose shape is that of an embedding; the only shape
    that an embedding and a linear layer share; the only embedding that is not one of positions or types.

    Raises:
        VocabularyError: none of these answers, one gives several sizes, or the configuration contradicts the weights.
    """
    width = _from_methods(model)
    declared = _from_config(getattr(model, "config", None), "model.config")
    if declared is not None:
        return _reconciled(declared, width)
    if width is not None:
        return Vocabulary(size=width[0], width=width[0], source=width[1])
    for search in (_tied, _named_head, _same_shape, _only_embedding):
        found = search(model)
        sizes = sorted({size for _, size in found})
        if len(sizes) > 1:
            listed = ", ".join(f"{name} ({size})" for name, size in found)
            raise VocabularyError(f"the vocabulary could be any of {listed}; give the model a config.vocab_size")
        if sizes:
            return Vocabulary(size=sizes[0], width=sizes[0], source=", ".join(name for name, _ in found))
    raise VocabularyError("the model has no config.vocab_size, and no embedding or output layer that tells it")


def _from_config(config: Any, where: str) -> Vocabulary | None:
    """Read the sizes that a configuration declares, its own before those of a nested one."""
    size, padded = _first(config, _SIZE_NAMES), _first(config, _PADDED_NAMES)
    if size is not None:
        width = padded[1] if padded is not None else size[1]
        if width < size[1]:
            raise VocabularyError(f"{where} pads a vocabulary of {size[1]} to {width}, which is less")
        return Vocabulary(size=size[1], width=width, source=f"{where}.{size[0]}")
    nested = []
    for name in _NESTED_NAMES:
        inner = _get(config, name)
        if inner is not None and (found := _from_config(inner, f"{where}.{name}")) is not None:
            nested.append(found)
    if len({found.size for found in nested}) > 1:
        listed = ", ".join(f"{found.source} ({found.size})" for found in nested)
        raise VocabularyError(f"the configuration has several vocabularies: {listed}; pass the part that is meant")
    return nested[0] if nested else None


def _first(config: Any, names: tuple[str, ...]) -> tuple[str, int] | None:
    for name in names:
        value = _get(config, name)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return name, value
    return None


def _get(config: Any, name: str) -> Any:
    return config.get(name) if isinstance(config, Mapping) else getattr(config, name, None)


def _from_methods(model: nn.Module) -> tuple[int, str] | None:
    """Return the rows of the output or input embeddings, as models of transformers name them."""
    for name in ("get_output_embeddings", "get_input_embeddings"):
        method = getattr(model, name, None)
        layer = method() if callable(method) else None
        weight = getattr(layer, "weight", None)
        if isinstance(weight, nn.Parameter) and weight.dim() == 2:
            return weight.shape[0], f"model.{name}()"
    return None


def _reconciled(declared: Vocabulary, rows: tuple[int, str] | None) -> Vocabulary:
    if rows is None or rows[0] == declared.width:
        return declared
    if rows[0] < declared.size:
        raise VocabularyError(
            f"{declared.source} says {declared.size} tokens, but {rows[1]} has only {rows[0]} rows; "
            "resize the embeddings or correct the configuration"
        )
    return Vocabulary(size=declared.size, width=rows[0], source=f"{declared.source}; width of {rows[1]}")


Found = list[tuple[str, int]]


def _embeddings(model: nn.Module) -> list[tuple[str, nn.Embedding]]:
    return [(name, module) for name, module in model.named_modules() if isinstance(module, nn.Embedding)]


def _linears(model: nn.Module) -> list[tuple[str, nn.Linear]]:
    return [(name, module) for name, module in model.named_modules() if isinstance(module, nn.Linear)]


def _tied(model: nn.Module) -> Found:
    tables = _embeddings(model)
    return [
        (f"{name}, tied to {table}", linear.out_features)
        for name, linear in _linears(model)
        for table, embedding in tables
        if linear.weight is embedding.weight
    ]


def _named_head(model: nn.Module) -> Found:
    return [(name, size) for name, size in _same_shape(model) if _HEAD.search(name)]


def _same_shape(model: nn.Module) -> Found:
    shapes = {embedding.weight.shape for name, embedding in _embeddings(model) if not _NO_TOKENS.search(name)}
    return [(name, linear.out_features) for name, linear in _linears(model) if linear.weight.shape in shapes]


def _only_embedding(model: nn.Module) -> Found:
    return [(name, table.num_embeddings) for name, table in _embeddings(model) if not _NO_TOKENS.search(name)]
