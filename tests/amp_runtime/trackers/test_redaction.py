import enum
import logging
from pathlib import Path

import pytest
import torch

from amp_runtime.trackers.redaction import presentable


class Kind(enum.Enum):
    A = "a"


def test_plain_values_stay_and_nested_ones_get_dotted_names():
    values = {"lr": 0.1, "on": True, "none": None, "optimizer": {"betas": (0.9, 0.99), "name": "AdamW"}, "kind": Kind.A}
    assert presentable(values) == {
        "lr": 0.1,
        "on": True,
        "none": None,
        "optimizer.betas": "0.9, 0.99",
        "optimizer.name": "AdamW",
        "kind": "a",
    }


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("/home/me/data/corpus.txt", "corpus.txt"),
        (Path("/srv/models/run-1"), "run-1"),
        ("~/data", "data"),
        ("C:\\Users\\me\\corpus.txt", "corpus.txt"),
        ("from /home/me/a.txt to /home/me/b/", "from a.txt to b"),
        ("data/corpus.txt", "data/corpus.txt"),
        ("https://example.org/data/corpus.txt", "https://example.org/data/corpus.txt"),
        ("a/b and 1/2", "a/b and 1/2"),
        (["/home/me/a", "b"], "a, b"),
        (torch.float16, "torch.float16"),
        (torch.device("cpu"), "cpu"),
    ],
)
def test_of_an_absolute_path_only_the_last_part_stays(value, shown):
    assert presentable({"value": value}) == {"value": shown}


@pytest.mark.parametrize(
    "name",
    ["api_key", "WANDB_API_KEY", "hf_token", "hub.token", "access_token_1", "password", "aws.secret", "credentials"],
)
def test_secrets_are_dropped_and_that_is_said(name, caplog):
    with caplog.at_level(logging.WARNING):
        assert presentable({name: "hunter22", "lr": 1}) == {"lr": 1}
    assert f"{name!r} names a secret" in caplog.text
    assert "hunter22" not in caplog.text


@pytest.mark.parametrize(
    "name", ["tokenizer", "tokens_per_step", "max_token_count", "eos_token", "token_id", "compass", "monkey"]
)
def test_ordinary_names_are_no_secrets(name):
    assert presentable({name: 1}) == {name: 1}


def test_the_value_of_a_secret_environment_variable_is_blanked(monkeypatch):
    monkeypatch.setenv("SOME_SERVICE_TOKEN", "abcdef123456")
    shown = presentable({"note": "made with abcdef123456", "name": "abcdef"})
    assert shown == {"note": "<redacted>", "name": "abcdef"}


def test_objects_are_named_by_their_type_and_not_by_an_address():
    assert presentable({"model": torch.nn.Linear(1, 1), "f": len}) == {
        "model": "Linear",
        "f": "builtin_function_or_method",
    }
