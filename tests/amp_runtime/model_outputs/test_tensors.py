import dataclasses
from types import SimpleNamespace
from typing import NamedTuple

import pytest
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from amp_runtime.model_outputs.tensors import AmbiguousOutputError, output_tensor, predictions

LOGITS = torch.zeros(2, 5, 11)
HIDDEN = torch.zeros(2, 5, 8)
LOSS = torch.tensor(1.0)


@dataclasses.dataclass
class Output:
    loss: torch.Tensor
    logits: torch.Tensor
    hidden_states: tuple


class Pair(NamedTuple):
    logits: torch.Tensor
    value: torch.Tensor


@pytest.mark.parametrize(
    "output",
    [
        LOGITS,
        (LOGITS,),
        (LOSS, LOGITS),
        (LOGITS, ((HIDDEN, HIDDEN), (HIDDEN, HIDDEN))),
        [torch.ones(2, 5, dtype=torch.long), LOGITS],
        {"logits": LOGITS, "hidden": HIDDEN},
        {"loss": LOSS, "anything": LOGITS},
        {"output": {"logits": LOGITS}, "features": [HIDDEN]},
        Output(LOSS, LOGITS, (HIDDEN, HIDDEN)),
        Pair(LOGITS, HIDDEN),
        SimpleNamespace(logits=LOGITS, other=3),
        {"scores": LOGITS, "embedding": HIDDEN},
        {"logits": LOGITS, "aux": {"logits": HIDDEN}},
    ],
    ids=lambda output: type(output).__name__,
)
def test_the_predictions_are_found(output):
    assert output_tensor(output) is LOGITS


@pytest.mark.parametrize(
    "output", [(LOGITS, HIDDEN), {"a": LOGITS, "b": HIDDEN}, [{"logits": LOGITS}, {"logits": HIDDEN}]]
)
def test_what_could_be_several_is_refused_with_all_of_them(output):
    with pytest.raises(AmbiguousOutputError, match=r"could be any of .*\(2, 5, 11\).*\(2, 5, 8\)"):
        output_tensor(output)


def test_a_name_or_a_width_decides():
    assert output_tensor({"a": LOGITS, "b": HIDDEN}, name="b") is HIDDEN
    assert output_tensor((HIDDEN, LOGITS), width=11) is LOGITS
    assert output_tensor({"deep": {"logits": HIDDEN}, "logits": LOGITS}, name="deep") is HIDDEN


@pytest.mark.parametrize("choice", [{"name": "c"}, {"width": 3}])
def test_a_choice_that_nothing_fits_is_refused(choice):
    with pytest.raises(AmbiguousOutputError, match=f"fits with {next(iter(choice))}"):
        output_tensor({"a": LOGITS}, **choice)


@pytest.mark.parametrize("output", [LOSS, None, 3, {"loss": LOSS}, (torch.ones(3, dtype=torch.bool),), [], object()])
def test_an_output_without_predictions_is_refused(output):
    if output is LOSS:
        output = (LOSS,)
    with pytest.raises(AmbiguousOutputError, match="no floating tensor"):
        output_tensor(output)


TREES = st.recursive(
    st.sampled_from([LOSS, HIDDEN, None, torch.ones(2, dtype=torch.long)]),
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


@given(TREES)
def test_logits_on_top_are_found_whatever_stands_beside_them(tree):
    assert output_tensor({"beside": tree, "logits": LOGITS}) is LOGITS


class Echo(nn.Module):
    def forward(self, x, scale=1):
        return {"logits": x * scale}


@pytest.mark.parametrize("batch", [torch.ones(2, 3), {"x": torch.ones(2, 3)}, (torch.ones(2, 3),), [torch.ones(2, 3)]])
def test_a_batch_is_passed_as_its_type_asks_for(batch):
    assert torch.equal(predictions(Echo(), batch), torch.ones(2, 3))
    assert predictions(Echo(), {"x": torch.ones(2, 3), "scale": 4}, width=3).sum() == 24


@pytest.mark.parametrize("return_dict", [True, False])
@pytest.mark.parametrize("labels", [True, False])
def test_models_of_transformers_give_their_logits(return_dict, labels):
    config = transformers.GPT2Config(vocab_size=31, n_positions=8, n_embd=8, n_layer=2, n_head=2)
    model = transformers.GPT2LMHeadModel(config).eval()
    tokens = torch.arange(6).reshape(1, 6)
    batch = {"input_ids": tokens, "return_dict": return_dict, "output_hidden_states": True, "use_cache": False}
    if labels:
        batch["labels"] = tokens
    found = predictions(model, batch)
    assert found.shape == (1, 6, 31)
    assert torch.equal(found, model(tokens).logits)
