from types import SimpleNamespace

import pytest
import torch
import transformers
from torch import nn

from amp_runtime.model_outputs.vocabulary import VocabularyError, detect_vocabulary
from amp_runtime.workloads.language import VOCABULARY, CharTransformer


class Model(nn.Module):
    """A language model from named layers."""

    def __init__(self, config=None, **layers):
        super().__init__()
        if config is not None:
            self.config = config
        for name, layer in layers.items():
            self.add_module(name, layer)


def table(size, width=8):
    return nn.Embedding(size, width)


def head(size, width=8):
    return nn.Linear(width, size, bias=False)


def size_of(model):
    return detect_vocabulary(model).size


@pytest.mark.parametrize(
    "config",
    [
        SimpleNamespace(vocab_size=50),
        {"vocab_size": 50},
        SimpleNamespace(n_vocab=50),
        SimpleNamespace(text_config=SimpleNamespace(vocab_size=50), vision_config=SimpleNamespace(hidden_size=3)),
        {"model_type": "x", "decoder": {"vocab_size": 50}},
    ],
)
def test_the_configuration_is_believed_first(config):
    found = detect_vocabulary(Model(config, tokens=table(7), lm_head=head(7)))
    assert (found.size, found.width) == (50, 50)
    assert found.source.startswith("model.config")


def test_a_padded_vocabulary_has_a_size_and_a_width():
    found = detect_vocabulary(Model(SimpleNamespace(vocab_size=50, padded_vocab_size=64)))
    assert (found.size, found.width) == (50, 64)


def test_a_padding_that_takes_away_is_refused():
    with pytest.raises(VocabularyError, match="50 to 48, which is less"):
        detect_vocabulary(Model(SimpleNamespace(vocab_size=50, padded_vocab_size=48)))


def test_two_nested_vocabularies_are_refused_unless_they_agree():
    config = {"text_config": {"vocab_size": 5}, "decoder": {"vocab_size": 6}}
    with pytest.raises(VocabularyError, match=r"text_config\.vocab_size \(5\).*decoder\.vocab_size \(6\)"):
        detect_vocabulary(Model(config))
    config["decoder"]["vocab_size"] = 5
    assert size_of(Model(config)) == 5


@pytest.mark.parametrize("value", [None, "50", True, 0, -3])
def test_a_size_that_is_none_is_passed_over(value):
    assert size_of(Model(SimpleNamespace(vocab_size=value), tokens=table(9))) == 9


def test_tied_weights_tell():
    tokens, out = table(40), head(40)
    out.weight = tokens.weight
    found = detect_vocabulary(Model(tokens=tokens, other=table(30), project=head(30), final=out))
    assert (found.size, found.source) == (40, "final, tied to tokens")


def test_a_head_of_a_telling_name_wins_over_a_layer_of_the_same_shape_as_another_table():
    assert size_of(Model(tokens=table(40), speakers=table(30), project=head(30), lm_head=head(40))) == 40


def test_positions_types_and_labels_are_no_tokens():
    layers = {"tokens": table(40), "position_embeddings": table(64), "token_type": table(2), "classifier": head(2)}
    assert size_of(Model(**layers)) == 40


def test_two_tables_that_could_be_it_are_refused():
    with pytest.raises(VocabularyError, match=r"source \(40\), target \(30\)"):
        detect_vocabulary(Model(source=table(40), target=table(30)))


def test_a_model_without_tokens_is_refused():
    with pytest.raises(VocabularyError, match="no embedding or output layer"):
        detect_vocabulary(Model(body=nn.Linear(3, 3)))


def test_the_language_model_of_this_library_is_read_by_its_shapes():
    found = detect_vocabulary(CharTransformer())
    assert (found.size, found.width, found.source) == (VOCABULARY, VOCABULARY, "head")


def gpt2(**settings):
    config = transformers.GPT2Config(vocab_size=31, n_positions=8, n_embd=8, n_layer=1, n_head=2, **settings)
    return transformers.GPT2LMHeadModel(config)


def test_a_model_of_transformers_is_read_by_its_configuration():
    found = detect_vocabulary(gpt2())
    assert (found.size, found.width, found.source) == (31, 31, "model.config.vocab_size")


def test_embeddings_resized_for_matrix_units_give_the_width():
    model = gpt2()
    model.resize_token_embeddings(31, pad_to_multiple_of=16, mean_resizing=False)
    model.config.vocab_size = 31  # as a tokenizer has it
    found = detect_vocabulary(model)
    assert (found.size, found.width) == (31, 32)
    assert model(torch.zeros(1, 2, dtype=torch.long)).logits.shape[-1] == found.width


def test_a_configuration_with_more_tokens_than_rows_is_refused():
    model = gpt2()
    model.config.vocab_size = 40
    with pytest.raises(VocabularyError, match=r"40 tokens, but model.get_output_embeddings\(\) has only 31 rows"):
        detect_vocabulary(model)


def test_without_a_configuration_the_methods_of_transformers_answer():
    model = gpt2()
    model.config = {}
    found = detect_vocabulary(model)
    assert (found.size, found.source) == (31, "model.get_output_embeddings()")


def test_a_nested_text_configuration_of_transformers():
    text = transformers.LlamaConfig(vocab_size=123, hidden_size=8, num_hidden_layers=1, num_attention_heads=2)
    config = transformers.LlavaConfig(text_config=text, vision_config=transformers.CLIPVisionConfig())
    assert size_of(Model(config)) == 123
