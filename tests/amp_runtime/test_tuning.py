import math

import optuna
import pytest
import torch

from amp_runtime.loop import fit
from amp_runtime.policy import Bf16Policy
from amp_runtime.scaling import ScaleCollapseError
from amp_runtime.tuning import Choice, FloatRange, IntRange, ReportEpochs, SearchError, search
from tests.amp_runtime import warm
from tests.amp_runtime.problems import batches, make_step

SPACE = {"x": FloatRange(low=-2.0, high=2.0), "n": IntRange(low=1, high=3), "kind": Choice(("a", "b"))}


def bowl(parameters, _progress):
    return parameters["x"] ** 2 + parameters["n"] + (parameters["kind"] == "b")


def test_the_best_of_a_known_bowl_is_found():
    found = search(bowl, SPACE, trials=40, seed=0)
    assert found.best.value == min(trial.value for trial in found.trials)
    assert found.best.value < 1.3
    assert (found.best.parameters["n"], found.best.parameters["kind"]) == (1, "a")
    assert [trial.number for trial in found.trials] == list(range(40))


def test_the_same_seed_gives_the_same_trials():
    one, two, other = (search(bowl, SPACE, trials=8, seed=seed) for seed in (1, 1, 2))
    assert one == two != other


def test_a_figure_can_be_maximised():
    found = search(lambda parameters, _: -bowl(parameters, _), SPACE, trials=20, seed=0, maximize=True)
    assert found.best.value == max(trial.value for trial in found.trials)


def test_a_logarithmic_range_covers_orders_of_magnitude():
    space = {"lr": FloatRange(low=1e-6, high=1.0, log=True), "n": IntRange(low=1, high=1000, log=True)}
    found = search(lambda parameters, _: parameters["lr"], space, trials=30, seed=0, startup_trials=30)
    assert sum(trial.parameters["lr"] < 1e-3 for trial in found.trials) > 8
    assert sum(trial.parameters["n"] < 32 for trial in found.trials) > 8


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_figure_that_is_not_finite_ends_its_trial_and_not_the_search(bad):
    def train(parameters, progress):
        if parameters["x"] < 0:
            progress.report(1, bad)
        return bad if parameters["n"] == 3 else parameters["x"]

    found = search(train, SPACE, trials=30, seed=0)
    for trial in found.trials:
        ended = trial.parameters["x"] < 0 or trial.parameters["n"] == 3
        assert (trial.value is None) == ended == bool(trial.reason)
    assert found.best.value >= 0


def test_a_collapsed_loss_scale_ends_its_trial_with_the_reason():
    def train(parameters, _):
        if parameters["x"] > 0:
            raise ScaleCollapseError("the loss scale collapsed to 0.5")
        return parameters["x"]

    found = search(train, SPACE, trials=10, seed=0)
    assert {trial.reason for trial in found.trials} == {"", "the loss scale collapsed to 0.5"}


def test_a_trial_worse_than_the_median_is_ended():
    told = iter([1.0, 2.0, 3.0, 10.0, 0.5])

    def train(_, progress):
        value = next(told)
        progress.report(1, value)
        return value

    found = search(train, SPACE, trials=5, seed=0, startup_trials=3)
    assert [trial.value for trial in found.trials] == [1.0, 2.0, 3.0, None, 0.5]
    assert found.trials[3].reason == "worse than the median of earlier trials at step 1"


def test_any_other_exception_is_an_error_of_the_training():
    def train(_, __):
        raise KeyError("no such key")

    with pytest.raises(KeyError, match="no such key"):
        search(train, SPACE, trials=3, seed=0)


def test_a_search_without_a_result_is_an_error_with_the_last_reason():
    with pytest.raises(SearchError, match=r"none of 3 trials.* the result is nan"):
        search(lambda *_: math.nan, SPACE, trials=3, seed=0)


def test_real_training_is_searched_and_a_rate_at_which_it_diverges_is_ended():
    def train(parameters, progress):
        torch.manual_seed(0)
        step = make_step(Bf16Policy(), lr=parameters["lr"])
        history = fit(step, batches(6), epochs=3, validation=batches(2), callbacks=[ReportEpochs(progress)])
        return history.epochs[-1].validation.loss

    space = {"lr": Choice((1e-6, 0.02, 1e30))}
    found = search(train, space, trials=9, seed=0, startup_trials=9)
    assert found.best.parameters == {"lr": 0.02}
    assert {trial.parameters["lr"] for trial in found.trials if trial.value is None} == {1e30}


def test_reporting_epochs_needs_a_validation():
    def train(_, progress):
        fit(make_step(), batches(1), epochs=1, callbacks=[ReportEpochs(progress)])
        return 0.0

    with pytest.raises(ValueError, match="give fit\\(\\) validation batches"):
        search(train, SPACE, trials=1, seed=0)


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        (FloatRange, {"low": 1.0, "high": 1.0}),
        (FloatRange, {"low": 0.0, "high": 1.0, "log": True}),
        (FloatRange, {"low": 0.0, "high": math.inf}),
        (IntRange, {"low": 3, "high": 2}),
        (IntRange, {"low": 0, "high": 2, "log": True}),
        (Choice, {"options": ()}),
    ],
)
def test_a_space_without_a_point_is_refused(kind, arguments):
    with pytest.raises(ValueError, match=r"range|choice"):
        kind(**arguments)


@pytest.mark.parametrize("arguments", [{"trials": 0, "space": SPACE}, {"trials": 1, "space": {}}])
def test_a_search_of_nothing_is_refused(arguments):
    with pytest.raises(ValueError, match="needs trials and parameters"):
        search(bowl, seed=0, **arguments)


def test_without_optuna_the_extra_is_named():
    code = (
        "import sys; sys.modules['optuna'] = None\n"
        "from amp_runtime.tuning import Choice, search\n"
        "try:\n    search(lambda *_: 0.0, {'a': Choice((1,))}, trials=1, seed=0)\n"
        "except ModuleNotFoundError as error:\n    print(error)\n"
    )
    ended, said, _ = warm.run("-c", code)
    assert ended == 0
    assert "verify-amp[optuna]" in said


@pytest.fixture(autouse=True, scope="module")
def _quiet():
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    yield
    optuna.logging.set_verbosity(before)
