"""Small seeded training runs on real data that need no network; `module:factory` names for the verifier."""

from amp_runtime.workloads.adversarial import gan_fp16
from amp_runtime.workloads.contract import Workload
from amp_runtime.workloads.encoder import encoder_fp16
from amp_runtime.workloads.language import char_lm
from amp_runtime.workloads.recurrent import line_gru
from amp_runtime.workloads.vision import digits, digits_fp16

__all__ = ["Workload", "char_lm", "digits", "digits_fp16", "encoder_fp16", "gan_fp16", "line_gru"]
