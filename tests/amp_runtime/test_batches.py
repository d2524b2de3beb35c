import collections
import dataclasses
import types
from typing import Any, NamedTuple

import pytest
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.utils.rnn import pack_sequence

from amp_runtime.batches import cast_floating, move_to


class Pair(NamedTuple):
    inputs: Any
    targets: Any


@dataclasses.dataclass(frozen=True, slots=True)
class Frozen:
    inputs: Any
    name: str = "x"
    made: int = dataclasses.field(default=3, init=False)


class Movable:
    """As a graph of PyTorch Geometric: neither tensor nor container, but it can move."""

    def __init__(self, where="cpu"):
        self.where = where

    def to(self, device):
        return Movable(str(device))


FLOATS = [torch.float16, torch.bfloat16, torch.float32, torch.float64]
OTHERS = [torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.complex64]

leaves = st.sampled_from([torch.ones(2).to(dtype) for dtype in (*FLOATS, *OTHERS)]) | st.none() | st.text(max_size=3)
batches = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.text(max_size=2), inner, max_size=3),
        st.builds(Pair, inner, inner),
        st.builds(Frozen, inner),
    ),
    max_leaves=12,
)


def flat(value):
    if isinstance(value, dict):
        return [leaf for item in value.values() for leaf in flat(item)]
    if isinstance(value, list | tuple):
        return [leaf for item in value for leaf in flat(item)]
    if isinstance(value, Frozen):
        return flat(value.inputs)
    return [value]


def skeleton(value):
    """What is left of a batch when its tensors are taken out."""
    if isinstance(value, dict):
        return {key: skeleton(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return (type(value), [skeleton(item) for item in value])
    if isinstance(value, Frozen):
        return (Frozen, skeleton(value.inputs), value.name, value.made)
    return "tensor" if isinstance(value, torch.Tensor) else value


@given(batches, st.sampled_from(FLOATS))
def test_only_floating_tensors_are_cast_and_nothing_else_changes(batch, dtype):
    cast = cast_floating(batch, dtype)
    assert skeleton(cast) == skeleton(batch)
    for before, after in zip(flat(batch), flat(cast), strict=True):
        if isinstance(before, torch.Tensor) and before.is_floating_point():
            assert after.dtype is dtype
        else:
            assert after is before


@given(batches)
def test_every_tensor_moves_and_nothing_else_changes(batch):
    moved = move_to(batch, "meta")
    assert skeleton(moved) == skeleton(batch)
    for before, after in zip(flat(batch), flat(moved), strict=True):
        if isinstance(before, torch.Tensor):
            assert (after.device.type, after.dtype) == ("meta", before.dtype)
            assert before.device.type == "cpu"
        else:
            assert after is before


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_token_ids_survive_a_cast_to_half(half):
    ids = torch.arange(60_000)
    assert torch.equal(cast_floating({"ids": ids, "weights": torch.ones(3)}, half)["ids"], ids)


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.complex64])
def test_a_format_without_fractions_is_refused(dtype):
    with pytest.raises(ValueError, match="is no floating format"):
        cast_floating([torch.ones(1)], dtype)


def test_a_packed_sequence_keeps_its_sizes_on_the_cpu():
    packed = pack_sequence([torch.ones(3, 2), torch.ones(1, 2)])
    moved = move_to([packed], "meta")[0]
    assert moved.data.device.type == "meta"
    assert moved.batch_sizes.device.type == "cpu"
    cast = cast_floating(packed, torch.bfloat16)
    assert cast.data.dtype is torch.bfloat16
    assert cast.batch_sizes.dtype is torch.int64
    ids = pack_sequence([torch.arange(3)])
    assert cast_floating(ids, torch.bfloat16) is ids


def test_types_of_mappings_and_what_they_carry_are_kept():
    counts = collections.defaultdict(list, {"x": torch.ones(1)})
    moved = move_to(counts, "meta")
    assert moved.default_factory is list
    assert counts["x"].device.type == "cpu"
    ordered = cast_floating(collections.OrderedDict(b=torch.ones(1), a=1), torch.float16)
    assert list(ordered) == ["b", "a"]
    view = cast_floating(types.MappingProxyType({"x": torch.ones(1)}), torch.float16)
    assert type(view) is types.MappingProxyType
    assert view["x"].dtype is torch.float16


def test_an_object_that_can_move_moves_itself_and_is_not_cast():
    graph = Movable()
    assert move_to({"graph": graph}, "meta")["graph"].where == "meta"
    assert cast_floating({"graph": graph}, torch.bfloat16)["graph"] is graph
    assert move_to([Movable, torch.Tensor], "meta") == [Movable, torch.Tensor]


def test_a_tokenizers_batch_and_a_models_output_keep_their_types():
    batch = transformers.BatchEncoding({"input_ids": torch.tensor([[70_000]]), "weights": torch.ones(1)})
    cast = cast_floating(batch, torch.bfloat16)
    assert type(cast) is transformers.BatchEncoding
    assert cast["input_ids"].item() == 70_000
    assert cast["weights"].dtype is torch.bfloat16
    assert batch["weights"].dtype is torch.float32
    output = transformers.modeling_outputs.CausalLMOutput(logits=torch.ones(1, 2))
    moved = move_to(output, "meta")
    assert type(moved) is type(output)
    assert moved.logits.device.type == moved["logits"].device.type == "meta"
    assert output.logits.device.type == "cpu"
