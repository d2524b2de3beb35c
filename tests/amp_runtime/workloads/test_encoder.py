import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from amp_runtime.workloads.encoder import (
    LABEL_SMOOTHING,
    PAD,
    TOPICS,
    UNKNOWN,
    MaskedEncoder,
    load_paragraphs,
    masked_mean,
    paragraphs,
    smoothed_classification,
)


@pytest.fixture(scope="module")
def data():
    return load_paragraphs("cpu")


def test_training_and_validation_share_no_paragraph(data):
    training, held_out = ({tuple(row) for row in part[0].tolist()} for part in (data.training, data.validation))
    assert len(training & held_out) < 5  # paragraphs that differ only in rare words, which all look alike
    assert len(held_out) > 100
    assert len(training) > 400


def test_every_topic_is_in_both_parts_and_none_is_most_of_it(data):
    for _, topics in (data.training, data.validation):
        counts = torch.bincount(topics, minlength=len(TOPICS))
        assert int(counts.min()) > 5
        assert int(counts.max()) < len(topics) / 2


def test_paragraphs_are_really_padded_and_none_is_empty(data):
    words = data.training[0]
    lengths = (words != PAD).sum(1)
    assert int(lengths.min()) >= 6
    assert len(lengths.unique()) > 10
    # Padding is at the end only, and rare words are not padding.
    assert all(bool((row[:length] != PAD).all()) for row, length in zip(words, lengths, strict=True))
    assert bool((words == UNKNOWN).any())


def test_short_paragraphs_are_left_out_and_long_ones_cut():
    text = "one two three\n\n" + "word " * 100 + "\n \n" + "a b c d e f"
    found = paragraphs(text)
    assert [len(words) for words in found] == [24, 6]


@pytest.mark.parametrize("dtype", [None, torch.bfloat16, torch.float16])
def test_padding_changes_no_answer(data, dtype):
    torch.manual_seed(0)
    model = MaskedEncoder().eval()
    words = data.training[0]
    short = words[(words != PAD).sum(1) <= 12][:8]
    assert len(short) == 8
    with torch.no_grad(), torch.autocast("cpu", dtype=dtype or torch.bfloat16, enabled=dtype is not None):
        padded, cut = model(short), model(short[:, :12])
    assert torch.isfinite(padded).all()
    assert torch.allclose(padded.float(), cut.float(), atol=1e-5 if dtype is None else 2e-2)


def test_a_row_of_padding_alone_is_finite_in_float16():
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.float16):
        logits = MaskedEncoder()(torch.full((2, 5), PAD))
    assert torch.isfinite(logits).all()


def test_the_mask_reaches_the_gradient():
    model = MaskedEncoder()
    words = torch.tensor([[5, 6, 7, 8, 9, 10, PAD, PAD]])
    embedded = []
    model.words.register_forward_hook(lambda _module, _inputs, output: embedded.append(output) or output.retain_grad())
    model(words).sum().backward()
    gradient = embedded[0].grad[0].abs().sum(-1)
    assert bool((gradient[:6] > 0).all())
    assert gradient[6:].tolist() == [0.0, 0.0]


def test_the_mean_of_many_large_values_does_not_overflow_in_float16():
    hidden = torch.full((1, 1000, 4), 1000.0, dtype=torch.float16)
    present = torch.ones(1, 1000, dtype=torch.bool)
    with torch.autocast("cpu", dtype=torch.float16):
        mean = masked_mean(hidden, present)
    assert mean.dtype is torch.float32
    assert mean.tolist() == [[1000.0] * 4]


@given(st.lists(st.booleans(), min_size=1, max_size=12))
def test_the_masked_mean_is_the_mean_of_what_is_present(present):
    hidden = torch.arange(len(present), dtype=torch.float32).reshape(1, -1, 1)
    kept = [place for place, there in enumerate(present) if there]
    expected = math.fsum(kept) / len(kept) if kept else 0.0
    assert masked_mean(hidden, torch.tensor([present])).item() == pytest.approx(expected)


def test_infinite_padding_does_not_reach_the_mean():
    hidden = torch.tensor([[[1.0], [math.inf]]])
    assert masked_mean(hidden, torch.tensor([[True, False]])).tolist() == [[1.0]]


def test_a_perfect_answer_still_costs_what_smoothing_asks():
    wanted = torch.tensor([2])
    logits = torch.full((1, len(TOPICS)), -20.0)
    logits[0, 2] = 20.0
    outcome = smoothed_classification(lambda _words: logits.half(), (torch.zeros(1, 3), wanted))
    # (1 - e) * 0 + e * the mean of -log p over all classes, one of which is 0 and five are 40.
    assert outcome.loss.item() == pytest.approx(LABEL_SMOOTHING * 40 * 5 / 6, rel=1e-5)
    assert outcome.loss.dtype is torch.float32
    assert (outcome.examples, int(outcome.correct)) == (1, 1)
