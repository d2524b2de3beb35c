import torch
from hypothesis import given
from hypothesis import strategies as st

from amp_runtime.workloads.language import VOCABULARY, CharTransformer, encode, help_text


@given(st.text())
def test_every_character_has_a_number_in_the_vocabulary(text):
    codes = encode("x" + text)
    assert len(codes) == len(text) + 1
    assert set(codes.tolist()) <= set(range(VOCABULARY))


def test_printable_characters_keep_numbers_of_their_own():
    printable = "\n" + "".join(map(chr, range(32, 127)))
    assert encode(printable).tolist() == list(range(VOCABULARY - 1))
    assert encode("é\t").tolist() == [VOCABULARY - 1] * 2


def test_the_text_is_large_and_english():
    text = help_text()
    assert len(text) > 200_000
    assert "statement" in text


def test_the_model_cannot_see_the_future():
    model = CharTransformer()
    tokens = torch.randint(VOCABULARY, (2, 16))
    changed = tokens.clone()
    changed[:, 10:] = (changed[:, 10:] + 1) % VOCABULARY
    with torch.no_grad():
        before, after = model(tokens), model(changed)
    assert torch.allclose(before[:, :10], after[:, :10], atol=1e-6)
    assert not torch.allclose(before[:, 10:], after[:, 10:], atol=1e-3)
    assert before.shape == (2, 16, VOCABULARY)
