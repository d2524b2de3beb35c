"""What is known follows calls: into functions, models that were passed on, and models that are only imported."""

from __future__ import annotations

from tests.stages.logic.dtypes.probing import dtypes_of, probed

NET = """
    import torch
    from torch import nn

    class Block(nn.Module):
        def __init__(self, dim):
            super().__init__()
            self.fc = nn.Linear(dim, dim)

        def forward(self, x):
            y = self.fc(x)
            probe(y)
            return y

    class Net(nn.Module):
        def __init__(self, dim):
            super().__init__()
            self.blocks = nn.ModuleList([Block(dim) for _ in range(2)])
            self.head = nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.LayerNorm(dim), nn.Sigmoid())

        def forward(self, x):
            for block in self.blocks:
                x = block(x)
            y = self.head(x)
            probe(y)
            return y
"""
TRAIN = """
    import torch
    from net import Net

    def step(model, x):
        with torch.autocast("cuda", dtype={dtype}):
            probe(model(x))

    def main(loader):
        model = torch.nn.parallel.DistributedDataParallel(Net(8).cuda())
        for x in loader:
            step(model, x)
"""


def test_model_is_followed_through_a_parameter_and_a_wrapper() -> None:
    found = probed(TRAIN.replace("{dtype}", "torch.float16"), net=NET)
    assert sorted(found) == ["float16", "float32", "float32"]


def test_dtype_of_the_context_is_the_dtype_of_the_layer() -> None:
    assert "bfloat16" in probed(TRAIN.replace("{dtype}", "torch.bfloat16"), net=NET)
    assert "low" in probed(TRAIN.replace("{dtype}", "args.dtype"), net=NET)
    assert probed(TRAIN.replace("{dtype}", "torch.float32"), net=NET) == [""]


def test_function_is_read_with_what_it_is_given() -> None:
    code = """
        import torch

        def entropy(p, q):
            probe(p)
            probe(q)
            return p

        def main(x):
            probe(entropy(x.half(), q=x.float()))
    """
    assert sorted(probed(code)) == ["float16", "float16", "float32"]


def test_model_that_is_only_imported_by_the_training_file_is_assumed() -> None:
    code = """
        import torch
        import net

        def main(name, loader, scaler):
            model = getattr(net, name)(8)
            for x in loader:
                with torch.autocast("cuda"):
                    loss = model(x).mean()
                scaler.scale(loss).backward()
    """
    units = dtypes_of(code, net=NET).units
    assert {unit.scope.qualname for unit in units if unit.region.assumed} == {"Block.forward", "Net.forward"}
    assert not any(unit.region.assumed for unit in dtypes_of(code.replace("backward", "item"), net=NET).units)


def test_branch_that_widens_leaves_the_dtype_open() -> None:
    code = """
        import torch

        def main(x, flag):
            x = x.half()
            if flag:
                x = x.float()
            probe(x)
            if flag:
                return None
            x = x.half()
            probe(x)
    """
    assert probed(code) == ["", "float16"]


def test_function_that_calls_itself_ends() -> None:
    code = """
        import torch

        def deeper(x, n):
            return deeper(x.half(), n - 1) if n else x

        def main(x):
            with torch.autocast("cuda"):
                probe(deeper(x, 3))
    """
    assert len(probed(code)) == 1
