import pytest
import torch
from torch import nn

from amp_runtime.compile.config import CompileConfig
from amp_runtime.compile.decorating import compiled_on_first_call

CONFIG = CompileConfig(backend="eager", passes=("train",), samples=6, benchmark=False)


@pytest.fixture(autouse=True)
def _fresh_compiler():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@compiled_on_first_call(config=CONFIG)
def factory(width=4):
    return nn.Sequential(nn.Linear(3, width), nn.BatchNorm1d(width))


@compiled_on_first_call(config=CONFIG)
class Net(nn.Module):
    def __init__(self, scale):
        super().__init__()
        self.layer, self.scale = nn.Linear(3, 2), scale

    def forward(self, x, *, extra):
        return self.layer(x) * self.scale + extra


def test_nothing_is_compiled_before_the_first_call_and_everything_after_it():
    model = factory(width=5)
    assert model.compilation is None
    x = torch.randn(6, 3)
    model(x)
    assert model.compilation.validation_passed
    assert isinstance(model.compilation.compiled_model, torch._dynamo.eval_frame.OptimizedModule)
    first = model.compilation
    model(x)
    assert model.compilation is first


def test_the_arguments_of_the_call_are_the_sample():
    model = Net(2.0)
    x = torch.randn(4, 3)
    expected = model.layer(x) * 2.0 + 1
    assert torch.allclose(model(x, extra=torch.ones(2)), expected)
    assert model.compilation.validation_passed
    assert model.scale == 2.0


def test_a_decorated_model_trains_and_is_saved_as_the_plain_one():
    model = compiled_on_first_call(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)), CONFIG)
    assert [*model.state_dict()] == [*factory().state_dict()]
    before = [parameter.clone() for parameter in model.parameters()]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model(torch.randn(6, 3)).square().sum().backward()
    optimizer.step()
    assert any(not torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    model.eval()
    assert [module.training for module in model.compilation.compiled_model.modules()].count(True) == 0
    model.load_state_dict(factory(4).state_dict())


def test_a_fallback_works_on_with_the_eager_model():
    def raising(_graph, _inputs):
        raise KeyError("no kernel")

    model = compiled_on_first_call(nn.Linear(3, 2), CompileConfig(backend=raising, benchmark=False))
    assert model(torch.ones(1, 3)).shape == (1, 2)
    assert model.compilation.fallback_used


def test_what_makes_no_module_is_refused():
    @compiled_on_first_call
    def number():
        return 3

    with pytest.raises(TypeError, match="returned int"):
        number()
