"""The AMP points of small programs, line by line."""

from __future__ import annotations

import pytest

from tests.builders import syntax_facts


def points(**files: str) -> list[tuple[str, int, str]]:
    facts = syntax_facts(files)["amp_points"]
    return [(row["what"], row["line"], row["function"]) for row in facts]


def whats(source: str) -> list[tuple[int, str]]:
    return [(line, what) for what, line, _ in points(train=source)]


FULL_STEP = """
import torch
from torch.amp import GradScaler, autocast

def train(model, loader):
    optimizer = torch.optim.AdamW(model.parameters())
    scaler = GradScaler("cuda")
    for x, y in loader:
        with autocast("cuda"):
            loss = model(x, y)
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
"""


def test_a_full_step_is_listed_in_source_order():
    assert points(train=FULL_STEP) == [
        ("scaler", 6, "train"),
        ("autocast", 8, "train"),
        ("scale", 10, "train"),
        ("backward", 10, "train"),
        ("unscale", 11, "train"),
        ("clip", 12, "train"),
        ("step", 13, "train"),
        ("update", 14, "train"),
    ]


def test_a_point_shows_its_source_line():
    row = syntax_facts({"pkg/train": FULL_STEP})["amp_points"][1]
    assert row == {
        "path": "pkg/train.py",
        "line": 8,
        "function": "train",
        "what": "autocast",
        "code": 'with autocast("cuda"):',
    }


@pytest.mark.parametrize(
    "source",
    [
        "from torch.cuda.amp import autocast as ac\nwith ac(): pass",
        "import torch.amp as amp\nwith amp.autocast('cpu'): pass",
        "import torch\nwith torch.autocast('cuda'): pass",
        "import torch\nwith torch.no_grad(), torch.cuda.amp.autocast(): pass",
        "from torch.cuda.amp import *\nwith autocast(): pass",
        "import torch\nac = torch.autocast\nwith ac('cuda'): pass",
        "from torch import amp\n@amp.autocast('cuda')\ndef f(): pass",
        "import torch\nac = getattr(torch, 'autocast')('cpu')",
        "try:\n from torch.amp import autocast\nexcept ImportError:\n autocast = None\nwith autocast('cpu'): pass",
        "import contextlib, torch\nwith contextlib.ExitStack() as s: s.enter_context(torch.autocast('cpu'))",
        "import torch\nclass Ours(torch.autocast): pass\nwith Ours('cpu'): pass",
    ],
)
def test_autocast_is_known_under_every_name(source):
    assert [what for _, what in whats(source)] == ["autocast"]


def test_a_stored_context_is_a_point_where_it_is_made_and_where_it_is_entered():
    source = """
import torch
from contextlib import nullcontext
def f(on):
    ctx = torch.autocast("cuda") if on else nullcontext()
    with ctx:
        pass
"""
    assert whats(source) == [(4, "autocast"), (5, "autocast")]


def test_an_unrelated_context_is_no_point():
    source = "import torch\nfrom contextlib import nullcontext\nctx = nullcontext()\nwith ctx, torch.no_grad(): pass"
    assert whats(source) == []


def test_partial_and_factories_are_followed():
    source = """
import torch
from contextlib import contextmanager
from functools import partial
make = partial(torch.autocast, "cuda")
def context():
    return torch.autocast("cpu")
@contextmanager
def managed():
    with torch.autocast("cpu"):
        yield
def f():
    with make(): pass
    with context(): pass
    with managed(): pass
"""
    assert whats(source) == [(6, "autocast"), (9, "autocast"), (12, "autocast"), (13, "autocast"), (14, "autocast")]


def test_a_context_passed_in_under_a_telling_name_is_a_point():
    assert whats("import torch\ndef f(amp_autocast):\n  with amp_autocast(): pass") == [(2 + 1, "autocast")]


def test_names_are_followed_through_the_files_of_the_task():
    found = points(
        **{
            "pkg/__init__": "",
            "pkg/compat": "try:\n    from torch.amp import autocast\nexcept ImportError:\n    from x import autocast",
            "pkg/train": "from .compat import autocast as ac\ndef f():\n    with ac('cuda'): pass",
            "pkg/other": "from pkg import compat\ndef g():\n    with compat.autocast('cuda'): pass",
        }
    )
    assert found == [("autocast", 3, "g"), ("autocast", 3, "f")]


def test_a_local_of_a_sibling_function_is_not_autocast():
    source = "def f():\n    from torch.amp import autocast\ndef g():\n    with autocast(): pass"
    assert [line for line, _ in whats(source)] == []


def test_a_parameter_hides_the_import():
    source = "from torch.amp import GradScaler\ndef f(GradScaler):\n    return GradScaler()"
    assert whats(source) == []


@pytest.mark.parametrize(
    "made",
    ["GradScaler()", "GradScaler() if c else None", "c and GradScaler()", "(s := GradScaler())", "make()"],
)
def test_scaler_methods_are_known_by_the_constructor(made):
    source = f"""
from torch.amp import GradScaler
def make():
    return GradScaler()
class Trainer:
    def __init__(self, c):
        self.s = {made}
    def step(self, loss, o):
        self.s.scale(loss).backward()
        self.s.step(o)
        self.s.update()
"""
    assert whats(source)[-4:] == [(8, "scale"), (8, "backward"), (9, "step"), (10, "update")]


@pytest.mark.parametrize("annotation", ["GradScaler", "'GradScaler'", "Optional[GradScaler]", "'GradScaler | None'"])
def test_scaler_methods_are_known_by_the_annotation(annotation):
    source = f"""
from typing import Optional
from torch.amp import GradScaler
def step(s: {annotation}, o):
    s.step(o)
"""
    assert whats(source) == [(4, "step")]


def test_a_scaler_given_to_a_base_class_is_known_in_the_class_below():
    found = points(
        base="import torch\nclass Base:\n    def __init__(self):\n        self.g = torch.GradScaler()",
        sub="from base import Base\nclass Sub(Base):\n    def f(self, o):\n        self.g.step(o)",
    )
    assert found == [("scaler", 4, "Base.__init__"), ("step", 4, "Sub.f")]


@pytest.mark.parametrize("name", ["optimizer", "opt", "optim", "self.optimizer_d", "g_optimizer", "optimizers[0]"])
def test_an_optimizer_is_known_by_its_name_in_training_code(name):
    assert whats(f"import torch\ndef f(self, optimizer, opt, optim, g_optimizer, optimizers):\n    {name}.step()") == [
        (3, "step")
    ]


@pytest.mark.parametrize(
    "source",
    [
        "import torch\ndef f(config): config.update({'a': 1})",
        "import torch\nscaler = {}\nscaler.update(a=1)",
        "import torch\ndef f(scheduler): scheduler.step()",
        "import torch\ndef f(lr_scheduler: torch.optim.Optimizer): lr_scheduler.step()",
        "import torch\nopt = torch.optim.lr_scheduler.StepLR(None, 1)\nopt.step()",
        "import torch\ndef f(env, action): env.step(action)",
        "import torch\nfrom sklearn.preprocessing import StandardScaler\nscaler = StandardScaler()\nscaler.scale(1)",
        "def f(optimizer): optimizer.step()",
        "import torch\ndef f(loss): loss.backward()",
        "import torch\nclass Scaler: pass\ndef f():\n    import hashlib\n    h = hashlib.sha256()\n    h.update(b'')",
        "import torch\ndef autocast(): pass\nwith autocast(): pass",
    ],
)
def test_look_alikes_are_no_points(source):
    assert whats(source) == []


def test_the_backward_of_a_kept_scaled_loss_is_a_point():
    source = """
import torch
def f(scaler, loss, n):
    scaled = scaler.scale(loss) / n
    scaled.sum().backward()
    torch.autograd.backward(scaled)
"""
    assert whats(source) == [(3, "scale"), (4, "backward"), (5, "backward")]


def test_a_chain_over_several_lines_points_at_each_method():
    source = "import torch\ndef f(scaler, loss):\n    (\n     scaler\n     .scale(loss)\n     .backward()\n    )"
    assert whats(source) == [(5, "scale"), (6, "backward")]


def test_apex_scales_by_a_context():
    source = (
        "from apex import amp\ndef f(loss, o):\n    with amp.scale_loss(loss, o) as scaled:\n        scaled.backward()"
    )
    assert whats(source) == [(3, "scale"), (4, "backward")]


@pytest.mark.parametrize(
    ("made", "argument"),
    [("from accelerate import Accelerator", "Accelerator()"), ("from lightning import Fabric", "Fabric()")],
)
def test_frameworks_do_the_same_by_their_own_methods(made, argument):
    source = (
        f"{made}\nhelper = {argument}\ndef f(m, o, loss):\n    with helper.autocast(): pass\n    helper.backward(loss)"
    )
    assert whats(source) == [(4, "autocast"), (5, "backward")]


def test_accelerator_unscales_and_clips():
    source = "from accelerate import Accelerator\ndef f(accelerator, p):\n    accelerator.unscale_gradients()\n"
    source += "    accelerator.clip_grad_norm_(p, 1.0)"
    assert whats(source) == [(3, "unscale"), (4, "clip")]


@pytest.mark.parametrize(
    ("call", "mixed"),
    [
        ("Trainer(precision='16-mixed')", True),
        ("Trainer(precision='bf16-mixed')", True),
        ("Trainer(precision=16)", True),
        ("Trainer(precision=chosen)", True),
        ("Trainer(precision='32-true')", False),
        ("Trainer(precision='16-true')", False),
        ("Trainer(max_epochs=16)", False),
        ("Accelerator(mixed_precision='fp16')", True),
        ("Accelerator(mixed_precision='no')", False),
        ("TrainingArguments('out', bf16=True)", True),
        ("TrainingArguments('out', bf16=False)", False),
    ],
)
def test_a_framework_autocasts_where_its_argument_says_so(call, mixed):
    source = (
        "from lightning import Trainer\nfrom accelerate import Accelerator\nfrom transformers import TrainingArguments"
    )
    assert whats(f"{source}\nchosen = pick()\nx = {call}") == ([(5, "autocast")] if mixed else [])


def test_lightning_manual_optimization_is_followed():
    source = """
import lightning as L
class Module(L.LightningModule):
    def training_step(self, batch):
        first, second = self.optimizers()
        self.manual_backward(self.loss(batch))
        self.clip_gradients(first, 1.0)
        first.step()
"""
    assert whats(source) == [(5, "backward"), (6, "clip"), (7, "step")]


def test_names_bound_from_each_other_do_not_hang():
    source = "import torch\n" + "a = b\nb = a or a\na = a.x\nb = a + b\n" * 40 + "a.step()\nwith a: pass"
    assert whats(source) == []


def test_nesting_is_never_too_deep():
    source = "import torch\nx = " + "+".join(["1"] * 400) + "\nwith torch.autocast('cpu'): pass"
    assert whats(source) == [(3, "autocast")]


POLICIES = """
import torch
class Policy:
    def scale(self, loss): return loss
    def context(self): return torch.no_grad()
class Fp16(Policy):
    def __init__(self):
        self.s = torch.GradScaler()
    def scale(self, loss): return self.s.scale(loss)
    def context(self): return torch.autocast("cuda")
"""


def test_a_method_is_followed_into_the_subclasses_that_override_it():
    source = """
from policies import Policy
class Step:
    policy: Policy | None
    def run(self, loss):
        with self.policy.context():
            self.policy.scale(loss).backward()
"""
    found = [point for point in points(policies=POLICIES, step=source) if point[2] == "Step.run"]
    assert found == [("autocast", 5, "Step.run"), ("backward", 6, "Step.run")]


def test_an_instance_is_known_by_what_it_was_made_from():
    source = "from policies import Fp16, Policy\nwith Fp16().context(): pass\np = Fp16()\nwith p.context(): pass\n"
    source += "def f(q: list[Policy]):\n    with q.context(): pass"
    assert [line for what, line, _ in points(policies=POLICIES, use=source) if what == "autocast"][1:] == [2, 4]


def test_classes_that_derive_from_themselves_do_not_hang():
    source = "class A(A, A, A): pass\nclass B(C): pass\nclass C(B, A): pass\n"
    source += "def f(x: C, opt: A):\n    x.y.z.scale(1)\n    opt.step()\n    x.step()"
    assert whats(f"import torch\n{source}") == [(7, "step")]


def test_packages_that_star_import_each_other_are_followed_once():
    names = [f"part{number}" for number in range(20)]
    stars = "".join(f"from {name} import *\n" for name in names)
    files = dict.fromkeys(names, f"{stars}scale = unknown.scaler\n")
    files["part19"] = f"{stars}from torch.amp import GradScaler\n"
    files["train"] = f"{stars}scaler = GradScaler('cuda')\nunknown_to_all(scaler)\n"
    assert points(**files) == [("scaler", 21, "")]
