"""The fixed list of mutation operators: what each does, which rules name it, and whether a reader of text could see it.

Written down before any recall was measured. `visible` of a row is not changed to make a figure look better; where one
has to change, docs/mutants.md says so and why.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Visible(enum.StrEnum):
    """Whether a reader of source text could see the hazard, whatever our own rules do."""

    YES = "yes"
    UNDER_AUTOCAST = "under autocast"  # of arithmetic: where the file itself shows that it runs in half
    NO = "no"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One operator. `codes`: the rules that name its hazard; `why`: why it is not visible, or only in places."""

    name: str
    does: str
    codes: tuple[str, ...]
    visible: Visible = Visible.YES
    why: str = ""


def _row(name: str, does: str, codes: str, visible: Visible = Visible.YES, why: str = "") -> Row:
    return Row(name=name, does=does, codes=tuple(f"AMP{code}" for code in codes.split()), visible=visible, why=why)


_ARITHMETIC = "only the dtype that arrives there makes it harmful"

SCALER = (
    _row("plain-step", "`scaler.step(opt)` becomes `opt.step()`", "101"),
    _row("second-step", "`opt.step()` is added after `scaler.step(opt)`", "102"),
    _row("drop-unscale", "`scaler.unscale_(opt)` before a clip is left out", "103 104"),
    _row("unscale-after-clip", "`scaler.unscale_(opt)` moves behind the clip", "103 104"),
    _row("unscaled-backward", "`scaler.scale(loss).backward()` becomes `loss.backward()`", "105 106"),
    _row("discard-scaled-loss", "`scaler.scale(loss)` is called, and `loss.backward()` used", "105 106"),
    _row("scale-one-term", "`scaler.scale(a + b)` becomes `scaler.scale(a) + b`", "106"),
    _row("scale-twice", "the scaled loss is scaled once more", "107"),
    _row("drop-update", "`scaler.update()` is left out", "108"),
    _row("update-before-step", "`scaler.update()` moves before `scaler.step(opt)`", "109"),
    _row("update-between-steps", "`scaler.update()` is added between the steps of two optimizers", "110"),
    _row("unscale-each-micro-batch", "`scaler.unscale_(opt)` leaves the `if` of the accumulation", "111 114"),
    _row("update-each-micro-batch", "`unscale_` and `update` leave the `if` of the accumulation", "112 111 114"),
    _row("leave-after-unscale", "where the loss is NaN the step is left between `unscale_` and `update`", "113"),
    _row("unscale-twice", "`scaler.unscale_(opt)` is called twice", "114"),
    _row("closure-to-scaler", "`scaler.step(opt)` gets a closure", "116"),
    _row("other-scaler", "the loss is scaled by another scaler than the one that steps", "117"),
    _row("scaler-in-loop", "the scaler is made anew in every turn of the training loop", "118"),
    _row("drop-scaler-from-save", "the scaler's state is left out of the checkpoint", "119"),
    _row("drop-scaler-from-load", "the scaler's state is not loaded", "119"),
    _row("mask-nonfinite-gradients", "`nan_to_num_` on every gradient right after backward", "121"),
    _row("edit-scaled-gradients", "a weight decay is added to gradients right after backward", "122"),
    _row("observe-scaled-gradients", "the norm of gradients is printed right after backward", "123"),
    _row("penalty-of-scaled-gradients", "the division by the scale is left out of a gradient penalty", "125"),
    _row("clear-after-unscale", "`opt.zero_grad()` between `unscale_` and `scaler.step`", "126"),
    _row("schedule-regardless", "the test for a skipped step around `scheduler.step()` is left out", "128"),
    _row("zero-scale", "the scaler starts at `init_scale=0.0`", "134"),
    _row("flag-as-scale", "`GradScaler(enabled=flag)` becomes `GradScaler(flag)`", "703 134"),
    _row("bfloat16-with-scaler", "autocast runs in bfloat16 beside a scaler", "135"),
    _row("scaler-off", "the scaler is made with `enabled=False`", "136 138"),
    _row("no-scaler", "scale, unscale, step and update of a function go without scaler", "136"),
    _row("autocast-regardless", "autocast loses the flag that the scaler keeps", "138"),
    _row("scaler-on-default-device", '`GradScaler("cpu")` becomes `GradScaler()`', "139"),
    _row("raise-on-nonfinite", "the clip gets `error_if_nonfinite=True`", "140"),
    _row("detect-anomaly", "anomaly detection is turned on where the scaler is made", "141"),
    _row("skip-on-one-rank", "in distributed code a NaN loss skips backward", "142"),
    _row("step-in-hook", "the optimizer steps in a hook of the gradient's accumulation", "143"),
)

SCOPE = (
    _row("autocast-over-loop", "one autocast context around the loop that steps", "201 503"),
    _row("autocast-over-step", "the autocast context reaches to the optimizer's step", "207 208 201"),
    _row("autocast-over-backward", "the autocast context reaches over backward", "207"),
    _row("autocast-by-switch", "autocast is switched on by `torch.set_autocast_enabled`", "203"),
    _row("other-device", 'autocast is for the device "xpu"', "209"),
    _row("autocast-not-entered", "autocast is called, and not entered by `with`", "210"),
    _row("autocast-without-call", "the parentheses of autocast are left out", "211"),
    _row("autocast-around-model", "the model is replaced by `autocast(...)(model)`", "212"),
    _row("island-without-cast", "`.float()` is left out where autocast is turned off", "213"),
    _row("loss-outside", "the loss leaves the autocast context", "214"),
    _row(
        "probabilities-and-bce", "`binary_cross_entropy_with_logits` becomes sigmoid and `binary_cross_entropy`", "216"
    ),
    _row("dtype-as-text", 'autocast gets `dtype="float16"`', "218"),
    _row("drop-custom-pair", "`custom_fwd` and `custom_bwd` are left out", "223"),
    _row("drop-custom-fwd", "`custom_fwd` is left out, `custom_bwd` stays", "224 223"),
    _row("custom-for-other-device", '`custom_fwd` is for the device "xpu"', "225"),
    _row("flag-as-dtype", "`autocast(device, enabled=flag)` becomes `autocast(device, flag)`", "702"),
)

ARITHMETIC = (
    _row("large-mask", "a mask of `-inf` or of `finfo.min` becomes `-1e9`", "301", Visible.UNDER_AUTOCAST, _ARITHMETIC),
    _row("narrow-eps", "a guard against zero becomes `1e-8`", "302", Visible.UNDER_AUTOCAST, _ARITHMETIC),
    _row("narrow-margin", "`1 - eps` becomes `1 - 1e-8`", "303", Visible.UNDER_AUTOCAST, _ARITHMETIC),
    _row(
        "log-of-softmax",
        "a fused log-softmax, log-sigmoid or cross entropy is taken apart",
        "304",
        Visible.UNDER_AUTOCAST,
        _ARITHMETIC,
    ),
    _row(
        "square-by-product",
        "`mse_loss` and mean squares become sums of products",
        "305",
        Visible.UNDER_AUTOCAST,
        _ARITHMETIC,
    ),
    _row(
        "scale-after-product",
        "attention scores are divided after the product",
        "306",
        Visible.UNDER_AUTOCAST,
        _ARITHMETIC,
    ),
    _row(
        "drop-float32-island",
        "a region with autocast off is under autocast",
        "307 213 302 305",
        Visible.NO,
        "what it harms depends on the numbers inside",
    ),
    _row("half-positions", "positions are counted in float16", "308"),
    _row("accumulate-in-half", "the sum of losses is kept in float16", "309"),
    _row(
        "drop-float",
        "`x.float()` becomes `x` before a loss",
        "133 213 214 215 302 305",
        Visible.NO,
        "whether x is half there is known at run time",
    ),
)

STATE = (
    _row("half-masters", "the model is cast to float16 before the optimizer is made", "401 402 404"),
    _row("half-masters-fused", "the same, with a fused optimizer", "402 401 404"),
    _row(
        "bfloat16-masters",
        "the model is cast to bfloat16 before the optimizer is made",
        "403",
        Visible.NO,
        "whether steps vanish depends on the learning rate; many train so on purpose",
    ),
    _row("half-at-save", "the model is saved by `model.half().state_dict()` and cast back", "405"),
    _row("cast-after-optimizer", "the model is cast after the optimizer is made", "406 401"),
    _row("half-average", "the average of weights is kept in float16", "408"),
    _row("half-by-default", "the default dtype is float16", "412"),
    _row("half-at-load", "a float16 state is loaded with `assign=True`", "413"),
)

FRAMEWORKS = (
    _row("plain-scaler-for-shards", "`ShardedGradScaler` becomes `GradScaler`", "501"),
    _row("local-clip-of-shards", "`model.clip_grad_norm_` of FSDP becomes the one of `torch.nn.utils`", "502"),
    _row("accelerate-plain-backward", "`accelerator.backward(loss)` becomes `loss.backward()`", "504"),
    _row("accelerate-plain-clip", "`accelerator.clip_grad_norm_` becomes the one of `torch.nn.utils`", "505"),
    _row("lightning-plain-backward", "`self.manual_backward(loss)` becomes `loss.backward()`", "507"),
    _row("lightning-early-hook", "`on_before_optimizer_step` becomes `on_after_backward`", "508"),
    _row("half-pretrained", "a pretrained model is loaded in float16 for a trainer with `fp16=True`", "509"),
)

ROWS = (*SCALER, *SCOPE, *ARITHMETIC, *STATE, *FRAMEWORKS)

_LOW = "LOW or INFO by itself; a mutant counts as caught from MEDIUM on, so none is made"
_OUTCOME = "an outcome of a run, not an edit of code"
_SPEED = "costs speed or memory, not correctness"
_HARNESS = "concerns how precisions are compared, not the code"
_PATTERN = "needs a pattern that correct programs seldom have to begin with, so that nothing can be turned back"

WITHOUT_OPERATOR = {
    **dict.fromkeys(("AMP120", "AMP124", "AMP137", "AMP144", "AMP226", "AMP315", "AMP701", "AMP705"), _LOW),
    **dict.fromkeys(("AMP129", "AMP130", "AMP131", "AMP318", "AMP319", "AMP407", "AMP409", "AMP414"), _OUTCOME),
    **dict.fromkeys(("AMP801", "AMP802", "AMP803", "AMP804", "AMP805", "AMP806"), _SPEED),
    **dict.fromkeys(("AMP603", "AMP901", "AMP902", "AMP903", "AMP904"), _HARNESS),
    **dict.fromkeys(
        ("AMP132", "AMP202", "AMP205", "AMP206", "AMP217", "AMP219", "AMP220", "AMP221", "AMP222", "AMP310"), _PATTERN
    ),
    **dict.fromkeys(("AMP311", "AMP312", "AMP313", "AMP314", "AMP316", "AMP317", "AMP602"), _PATTERN),
    "AMP115": "needs an optimizer that wraps another",
    "AMP127": "depends on which parts of the model get gradients",
    "AMP204": "fixed in torch 2.10 and later",
    "AMP410": "comes with half-masters in models with batch normalization",
    "AMP411": "which part of a model to cast is arbitrary; half-masters casts all",
    "AMP415": "the absence of a check that torch does not ask for",
    "AMP506": "needs Lightning's manual optimization with a clip, whose correct form has no single spelling",
    "AMP510": "a framework's choice at run time",
    "AMP601": "the setting that avoids it is off in nearly every correct program",
    "AMP704": "needs apex",
}
