import math

import pytest
import torch

from amp_runtime.workloads.language import VOCABULARY
from amp_runtime.workloads.recurrent import IGNORED, LineGru, load_lines, next_character, pack


@pytest.fixture(scope="module")
def lines():
    return load_lines()


def test_lines_end_in_a_newline_and_vary_in_length(lines):
    assert len(lines) > 3000
    assert all(line[-1] == 0 for line in lines)
    lengths = {len(line) for line in lines}
    assert min(lengths) == 9
    assert max(lengths) == 49


def test_a_batch_predicts_each_next_character_and_ignores_padding():
    characters, lengths, targets = pack([torch.tensor([5, 6, 7, 0]), torch.tensor([8, 0])], "cpu")
    assert characters.tolist() == [[5, 6, 7], [8, 0, 0]]
    assert lengths.tolist() == [3, 1]
    assert targets.tolist() == [[6, 7, 0], [0, IGNORED, IGNORED]]


@pytest.mark.parametrize("dtype", [None, torch.bfloat16, torch.float16])
def test_padding_changes_no_answer_and_no_loss(lines, dtype):
    torch.manual_seed(0)
    model = LineGru()
    with torch.no_grad(), torch.autocast("cpu", dtype=dtype or torch.bfloat16, enabled=dtype is not None):
        alone = next_character(model, pack(lines[:1], "cpu"))
        together = [next_character(model, pack([line], "cpu")) for line in lines[:4]]
        padded = next_character(model, pack(lines[:4], "cpu"))
    assert together[0].loss.item() == alone.loss.item()
    total = math.fsum(outcome.loss.item() * outcome.examples for outcome in together)
    assert padded.examples == sum(outcome.examples for outcome in together)
    assert padded.loss.item() == pytest.approx(total / padded.examples, rel=1e-5 if dtype is None else 1e-3)
    assert padded.loss.dtype is torch.float32


def test_the_model_cannot_see_the_future(lines):
    model = LineGru()
    characters, lengths, _ = pack(lines[:3], "cpu")
    changed = characters.clone()
    changed[:, 5:] = (changed[:, 5:] + 1) % VOCABULARY
    with torch.no_grad():
        before, after = model(characters, lengths), model(changed, lengths)
    assert torch.allclose(before[:, :5], after[:, :5], atol=1e-6)
    assert not torch.allclose(before[:, 5:8], after[:, 5:8], atol=1e-3)
    assert before.shape == (*characters.shape, VOCABULARY)
