from collections import namedtuple
from dataclasses import dataclass

import pytest
import torch
from torch import nn

from amp_runtime.compile.trees import Sample, changed, leaves


@dataclass(frozen=True)
class Record:
    x: torch.Tensor
    parts: tuple = ()
    name: str = "a"


class Named(nn.Module):
    def forward(self, x, mask=None):
        return x


Pair = namedtuple("Pair", "left right")
X = torch.ones(2)


@pytest.mark.parametrize(
    ("given", "args", "kwargs"),
    [
        (X, (X,), {}),
        ((X, 2), (X, 2), {}),
        ([X], ([X],), {}),
        ({"x": X}, (), {"x": X}),
        ({"other": X}, ({"other": X},), {}),
        (Pair(X, X), (Pair(X, X),), {}),
        (Sample((X,), {"mask": X}), (X,), {"mask": X}),
    ],
)
def test_a_sample_is_read_from_what_people_have(given, args, kwargs):
    sample = Sample.of(given, Named())
    assert repr((sample.args, dict(sample.kwargs))) == repr((args, kwargs))


def test_dataclasses_are_opened_and_rebuilt_and_aliases_stay():
    tree = {"a": Record(X, (X, torch.zeros(1))), "b": 3}
    found = dict(leaves(tree))
    assert set(found) == {"['a'].x", "['a'].parts[0]", "['a'].parts[1]", "['a'].name", "['b']"}
    copied = changed(tree, lambda tensor: tensor + 1)
    assert copied["a"].x is copied["a"].parts[0]
    assert copied["a"].x.tolist() == [2, 2]
    assert tree["a"].x is X
    assert X.tolist() == [1, 1]


def test_a_tensor_given_twice_is_named_once():
    assert list(Sample((X, [X]), {"y": torch.zeros(1)}).tensors()) == ["[0]", "['y']"]
