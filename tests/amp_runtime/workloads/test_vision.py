import sys

import pytest
import torch

from amp_runtime.workloads.vision import load_digits


def test_training_and_validation_share_no_image():
    (images, labels), (held_out, held_labels) = load_digits("cpu")
    assert (len(images), len(held_out)) == (1437, 360)
    assert images.shape[1:] == held_out.shape[1:] == (1, 8, 8)
    assert float(images.min()) == 0
    assert float(images.max()) == 1
    assert sorted(set(labels.tolist())) == sorted(set(held_labels.tolist())) == list(range(10))


def test_they_are_those_that_scikit_learn_gives():
    data = pytest.importorskip("sklearn.datasets").load_digits()
    (images, labels), (held_out, held_labels) = load_digits("cpu")
    assert torch.equal(torch.cat((images, held_out)).squeeze(1) * 16, torch.tensor(data.images, dtype=torch.float32))
    assert torch.equal(torch.cat((labels, held_labels)), torch.tensor(data.target, dtype=torch.int64))


def test_without_scikit_learn_the_error_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ModuleNotFoundError, match="extra `workloads`"):
        load_digits("cpu")
