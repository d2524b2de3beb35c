"""A training step runs the code that the real compiler generates; with the other backends, test_compilation.py."""

import pytest
import torch

from tests.amp_runtime.compiled_steps import Island, gradients, make
from tests.amp_runtime.problems import POLICIES, batches


@pytest.fixture(autouse=True)
def _fresh_compiler():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


# PyTorch's own: its compiler uses what its scripting has deprecated.
@pytest.mark.filterwarnings("ignore:.*torch.jit.*deprecated:DeprecationWarning")
def test_code_generated_by_the_real_compiler_trains_like_eager_code():
    from torch._inductor import config

    eager = make(POLICIES["bf16"](), Island)
    with config.patch(compile_threads=1):  # no pool of compiler processes that would outlive the test
        compiled = make(POLICIES["bf16"](), Island, backend="inductor")
        ours, theirs = gradients(compiled), gradients(eager)
    errors = [((a - b).norm() / b.norm()).item() for a, b in zip(ours, theirs, strict=True)]
    assert max(errors) < 0.02  # fused operations round less often to bfloat16, whose step is 0.008
    losses = [[step.run([batch]).loss for batch in batches(4)] for step in (compiled, eager)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-2)
