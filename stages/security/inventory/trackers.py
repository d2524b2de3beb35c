"""Which calls send something to an experiment tracker, and where in the call it stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

METRICS, CONFIGURATION, SAMPLES, FILES, MODEL, AUTOMATIC = (
    "metrics",
    "configuration",
    "samples",
    "files",
    "model",
    "whatever it finds",
)


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that a call sends.

    Args:
        how: "mapping" is a dict whose keys are sent; "keyed" has its key in the first argument; "whole" has none.
        position: of the argument; None where it can be given by keyword only.
    """

    how: Literal["mapping", "keyed", "whole"]
    kind: str
    keyword: str = ""
    position: int | None = 0


@dataclass(frozen=True, slots=True)
class Sending:
    """A call and what it sends. Without parts, what it sends is decided by the tracker itself."""

    tracker: str
    parts: tuple[Part, ...] = ()
    kind: str = AUTOMATIC


def _mapping(kind: str, keyword: str = "", position: int | None = 0) -> Part:
    return Part("mapping", kind, keyword, position)


def _keyed(kind: str, keyword: str = "value") -> Part:
    return Part("keyed", kind, keyword, 1)


def _whole(kind: str, keyword: str = "", position: int | None = 0) -> Part:
    return Part("whole", kind, keyword, position)


_RUN = {  # W&B and those that took over its calls
    "log": (_mapping(METRICS, "data"),),
    "config.update": (_mapping(CONFIGURATION, "d"),),
    "summary.update": (_mapping(METRICS, "d"),),
    "save": (_whole(FILES, "glob_str"),),
    "log_artifact": (_whole(FILES, "artifact_or_path"),),
    "log_model": (_whole(FILES, "path"),),
    "log_code": (_whole(FILES, "root"),),
    "watch": (_whole(MODEL, "models"),),
    "alert": (_whole(SAMPLES, "text", 1),),
}
_INIT = (
    _mapping(CONFIGURATION, "config", None),
    _whole(CONFIGURATION, "name", None),
    _whole(CONFIGURATION, "notes", None),
)
_LIKE_WANDB = {"wandb": "W&B", "swanlab": "SwanLab", "trackio": "Trackio"}
_MLFLOW = {
    "log_param": (_keyed(CONFIGURATION),),
    "log_params": (_mapping(CONFIGURATION, "params"),),
    "log_metric": (_keyed(METRICS),),
    "log_metrics": (_mapping(METRICS, "metrics"),),
    "set_tag": (_keyed(CONFIGURATION),),
    "set_tags": (_mapping(CONFIGURATION, "tags"),),
    "log_artifact": (_whole(FILES, "local_path"),),
    "log_artifacts": (_whole(FILES, "local_dir"),),
    "log_dict": (_whole(FILES, "dictionary"),),
    "log_text": (_whole(SAMPLES, "text"),),
    "log_image": (_whole(SAMPLES, "image"),),
    "log_figure": (_whole(SAMPLES, "figure"),),
    "pytorch.log_model": (_whole(MODEL, "pytorch_model"),),
}
_RUN_CALLS = [(*item, *call) for item in _LIKE_WANDB.items() for call in _RUN.items()]
# dotted name of a function -> what a call of it sends
FUNCTIONS: Mapping[str, Sending] = {
    **{f"{module}.{name}": Sending(said, parts) for module, said, name, parts in _RUN_CALLS},
    **{f"{module}.run.{name}": Sending(said, parts) for module, said, name, parts in _RUN_CALLS},
    **{f"{module}.init": Sending(said, _INIT) for module, said in _LIKE_WANDB.items()},
    **{f"mlflow.{name}": Sending("MLflow", parts) for name, parts in _MLFLOW.items()},
    **{f"mlflow.{name}": Sending("MLflow") for name in ("autolog", "pytorch.autolog", "pytorch_lightning.autolog")},
    "transformers.TrainingArguments": Sending("transformers.Trainer", (_whole(AUTOMATIC, "report_to", None),)),
    "clearml.Task.init": Sending("ClearML"),
}

_TENSORBOARD = {
    "add_scalar": (Part("keyed", METRICS, "scalar_value", 1),),
    "add_scalars": (Part("keyed", METRICS, "tag_scalar_dict", 1),),
    "add_histogram": (Part("keyed", MODEL, "values", 1),),
    "add_image": (Part("keyed", SAMPLES, "img_tensor", 1),),
    "add_images": (Part("keyed", SAMPLES, "img_tensor", 1),),
    "add_figure": (Part("keyed", SAMPLES, "figure", 1),),
    "add_video": (Part("keyed", SAMPLES, "vid_tensor", 1),),
    "add_audio": (Part("keyed", SAMPLES, "snd_tensor", 1),),
    "add_text": (Part("keyed", SAMPLES, "text_string", 1),),
    "add_embedding": (_whole(SAMPLES, "mat"),),
    "add_graph": (_whole(MODEL, "model"),),
    "add_hparams": (_mapping(CONFIGURATION, "hparam_dict"), _mapping(METRICS, "metric_dict", 1)),
}
_COMET = {
    "log_metric": (_keyed(METRICS),),
    "log_metrics": (_mapping(METRICS, "dic"),),
    "log_parameter": (_keyed(CONFIGURATION),),
    "log_parameters": (_mapping(CONFIGURATION, "parameters"),),
    "log_other": (_keyed(CONFIGURATION),),
    "log_text": (_whole(SAMPLES, "text"),),
    "log_image": (_whole(SAMPLES, "image_data"),),
    "log_asset": (_whole(FILES, "file_data"),),
    "log_model": (_whole(FILES, "file_or_folder", 1),),
}
_ACCELERATE = {
    "init_trackers": (_mapping(CONFIGURATION, "config", 1),),
    "log": (_mapping(METRICS, "values"),),
}
_DVCLIVE = {
    "log_metric": (_keyed(METRICS, "val"),),
    "log_param": (_keyed(CONFIGURATION, "val"),),
    "log_params": (_mapping(CONFIGURATION, "params"),),
}
_WRITERS = (
    "torch.utils.tensorboard.SummaryWriter",
    "torch.utils.tensorboard.writer.SummaryWriter",
    "tensorboardX.SummaryWriter",
)
_EXPERIMENTS = ("comet_ml.Experiment", "comet_ml.ExistingExperiment", "comet_ml.OfflineExperiment", "comet_ml.start")
# what makes an object -> the tracker it stands for, and what its methods send
OBJECTS: Mapping[str, tuple[str, Mapping[str, tuple[Part, ...]]]] = {
    "wandb.init": ("W&B", _RUN),
    "swanlab.init": ("SwanLab", _RUN),
    "trackio.init": ("Trackio", _RUN),
    **dict.fromkeys(_WRITERS, ("TensorBoard", _TENSORBOARD)),
    **dict.fromkeys(_EXPERIMENTS, ("Comet", _COMET)),
    "dvclive.Live": ("DVCLive", _DVCLIVE),
    "clearml.Task.init": ("ClearML", {"connect": (_mapping(CONFIGURATION, "mutable"),)}),
    "aim.Run": ("Aim", {"track": (_whole(METRICS, "value"),)}),
    "accelerate.Accelerator": ("accelerate", _ACCELERATE),
}
# methods that no other object is known to have, whatever they are called on
METHODS: Mapping[str, Sending] = {
    **{
        name: Sending("TensorBoard", _TENSORBOARD[name])
        for name in ("add_scalar", "add_scalars", "add_histogram", "add_hparams")
    },
    "init_trackers": Sending("accelerate", _ACCELERATE["init_trackers"]),
    "log_hyperparams": Sending("Lightning logger", (_mapping(CONFIGURATION, "params"),)),
    "log_metrics": Sending("Lightning logger", (_mapping(METRICS, "metrics"),)),
}
# calls on the object itself, in a module of Lightning
LIGHTNING: Mapping[str, Sending] = {
    "log": Sending("Lightning logger", (_keyed(METRICS),)),
    "log_dict": Sending("Lightning logger", (_mapping(METRICS, "dictionary"),)),
    "save_hyperparameters": Sending("Lightning logger", (), CONFIGURATION),
}
