import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from amp_runtime.workloads.vision import load_digits

# Of Lightning's own making: the first asks, on every batch, for a class that PyTorch 2.13 deprecates; the others are
# advice for larger runs.
LIGHTNINGS_OWN = [
    "ignore:`isinstance.treespec, LeafSpec.` is deprecated:FutureWarning",
    "ignore:The '.*_dataloader' does not have many workers",
    "ignore:You defined a `validation_step` but have no `val_dataloader`",
]


def pytest_collection_modifyitems(items):
    for item in items:
        if "amp_runtime/lightning" in item.path.as_posix():
            for warning in LIGHTNINGS_OWN:
                item.add_marker(pytest.mark.filterwarnings(warning))


@pytest.fixture(scope="session")
def digits_loaders():
    """Training images in a fixed order, 8 batches, and validation images."""
    (images, labels), held_out = load_digits("cpu")
    training = TensorDataset(images[:512], labels[:512])
    return DataLoader(training, batch_size=64), DataLoader(TensorDataset(*held_out), batch_size=120)


@pytest.fixture
def quiet(tmp_path):
    """What every Trainer here is given: nothing on the screen, files only in a folder of the test."""
    return {
        "default_root_dir": tmp_path,
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }


@pytest.fixture(autouse=True)
def _same_first_weights():
    torch.manual_seed(0)
