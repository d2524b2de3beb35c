"""What was seen inside one training step, as frozen facts that cross a process boundary. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ..records import Frame  # noqa: TC001 - the wire asks for the types of the fields at run time

Phase = Literal["forward", "backward", "optimizer", "scaler", "clipping"]

# The rules of AMP_RULES.md for which a kind of fact is evidence. Whether it is a finding is the rule's to say.
RULES: dict[str, tuple[str, ...]] = {
    "frozen-elements": ("AMP403",),
    "half-in-fp32-region": ("AMP213",),
    "half-loss-outside-autocast": ("AMP214",),
    "imprecise-angle": ("AMP307",),
    "imprecise-integers": ("AMP308",),
    "inplace-downcast": ("AMP221",),
    "lossy-cast": ("AMP316",),
    "lost-additions": ("AMP309", "AMP414"),
    "masked-row": ("AMP301",),
    "misaligned-matmul": ("AMP805",),
    "near-overflow": ("AMP318",),
    "negative-root": ("AMP310",),
    "nonfinite-parameter": ("AMP404",),
    "optimizer-math-in-half": ("AMP208",),
    "overflow-exp": ("AMP312",),
    "overflow-matmul": ("AMP306",),
    "overflow-reduction": ("AMP305", "AMP317"),
    "overflow-square": ("AMP305", "AMP317"),
    "scalar-becomes-one": ("AMP303",),
    "scalar-overflows": ("AMP301",),
    "scalar-vanishes": ("AMP302",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where an operator ran.

    Args:
        module: qualified name in the root model; the class name of a root, "" outside of every module.
        operator: of ATen, such as `aten.addmm`.
        phase: "forward" is everything that is none of the others, code between the passes too.
        api: the function of `torch.nn.functional` that the program called, such as "cross_entropy"; or "".
        through: the function of torch that the program's line called, where it did not call the operator itself.
        node: in the backward pass, the node of the autograd graph, such as "AddmmBackward0".
        frame: the line of the program; in the backward pass the one whose forward operator the node belongs to.
        caller: the innermost line outside of installed packages, where `frame` is inside one.
    """

    module: str
    operator: str
    phase: Phase
    api: str = ""
    through: str = ""
    node: str = ""
    frame: Frame | None = None
    caller: Frame | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Operand:
    """A tensor that went into an operator or came out.

    Args:
        name: of the argument in the schema.
        origin: qualified name of the parameter or buffer that it is, or the operator that wrote it; "" if unknown.
        low, high: smallest and largest element; NaN if one is NaN, None where it was not read.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    origin: str = ""
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Birth:
    """A tensor with NaN or infinity whose operands gave no reason for it.

    Args:
        kind: "inf": every operand was finite; "nan": none of them held NaN.
        arrived: no operator seen made it: it came in with this operand, from data or from where we do not look.
        number: of the operator in the step, from 1.
        fp32_finite: the FP32 shadow of the result is finite; None where there is none.
    """

    kind: Literal["nan", "inf"]
    site: Site
    result: Operand
    operands: tuple[Operand, ...]
    number: int
    arrived: bool = False
    fp32_finite: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Something about numbers that a rule may be interested in; once per kind and site.

    Args:
        kind: one of `RULES`.
        values: of the worst occurrence; may be non-finite. notes: what is no number. count: occurrences.
    """

    kind: str
    site: Site
    values: dict[str, float] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class GradientSeen:
    """The gradient that arrived at one parameter, beside its FP32 shadow; both carry the loss scale.

    Args:
        name: qualified name of the parameter; dtype: its own. half: the type the gradient was cast from, or is in;
            "" if it was in FP32 on its last way.
        compared: all of it has a reference. Without one (it comes out of a compiled region, or shadowing had stopped)
            only `elements`, `zeros`, `subnormal` and `norm` say something; the rest is 0 or NaN.
        elements: of all backward passes of the step. zeros: those that are zero.
        nonzero: elements whose shadow is not zero. zeroed: zero, shadow not.
        subnormal: nonzero but below the smallest normal number of `half`.
        overflowed: not finite, shadow finite.
        norm, fp32_norm: L2, of the finite elements, of the last backward pass.
        relative_error: L2 norm of the difference over `fp32_norm`; NaN if that is zero. cosine: of the two. A gradient
            that is zero by construction, as that of the bias of keys before a softmax, is rounding noise in FP32 too:
            look at `fp32_norm` beside the other parameters' before making anything of these two, or of `subnormal`.
    """

    name: str
    dtype: str
    half: str
    compared: bool
    elements: int
    zeros: int
    nonzero: int
    zeroed: int
    subnormal: int
    overflowed: int
    norm: float
    fp32_norm: float
    relative_error: float
    cosine: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Deviation:
    """How far the results of one operator at one place were from their FP32 shadows.

    Args:
        error: largest absolute difference over the largest absolute value of the shadow; the worst occurrence.
        inherited: the same figure of its worst operand. An error well above it was made here; one that is not was
            only handed on. Where numbers choose between two ways (ReLU, maximum) a rounding may choose the other one:
            then single elements are far off, and nothing is wrong.
    """

    site: Site
    error: float
    inherited: float
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LossSeen:
    """The root of a backward pass, and what it would be in FP32. Both carry the loss scale."""

    value: float
    fp32: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowSeen:
    """How far the FP32 reference reaches.

    Args:
        operators: that ran on shadows too.
        taken: operators whose real result was taken over as reference, and how often: random ones, and those that
            could not run in FP32. What comes after them is measured from there.
        peak_bytes: the most memory that shadows took. stopped: why shadowing ended before the step did, or "".
    """

    operators: int
    taken: dict[str, int]
    peak_bytes: int
    stopped: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Arithmetic and memory traffic by type of number.

    Args:
        flops: of matrix multiplications, convolutions and attention, by the type of their first operand.
        moved_bytes: read and written by all operators seen, by type; what a fused or cached kernel really moves is
            less.
        modules: flops by module, then by type. in_autocast: those of them that ran while autocast was on.
    """

    flops: dict[str, int]
    moved_bytes: dict[str, int]
    modules: dict[str, dict[str, int]]
    in_autocast: dict[str, dict[str, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """Half and FP32 met, and the result is FP32 (AMP801). `operand` is the FP32 one."""

    site: Site
    operand: Operand
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CastSeen:
    """Conversions between floating types at one place (AMP802).

    Args:
        what: qualified name of the parameter or buffer that was cast, or "".
        automatic: by autocast and not by a call of the program.
    """

    site: Site
    source: str
    target: str
    what: str
    automatic: bool
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncSeen:
    """The host waited for the device (AMP803); on the CPU: it would, if the tensor were on an accelerator."""

    site: Site
    device: str
    would: bool
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeepStep:
    """Everything seen inside one step.

    Args:
        operators: seen; unseen: not looked into, by reason ("compiled region", "tensor subclass", ...).
        births: in the order of the operators; the first is where it began.
        scale: the loss scale that the gradients were divided by; None where nothing was unscaled.
        weight_recasts: parameter -> casts to half in the forward pass, where there were more than one.
        problems: what could not be seen or went wrong with watching, in sentences.
    """

    operators: int
    seconds: float
    births: tuple[Birth, ...] = ()
    facts: tuple[Fact, ...] = ()
    gradients: tuple[GradientSeen, ...] = ()
    losses: tuple[LossSeen, ...] = ()
    deviations: tuple[Deviation, ...] = ()
    shadow: ShadowSeen | None = None
    work: Work | None = None
    promotions: tuple[Promotion, ...] = ()
    casts: tuple[CastSeen, ...] = ()
    weight_recasts: dict[str, int] = field(default_factory=dict)
    syncs: tuple[SyncSeen, ...] = ()
    scale: float | None = None
    unseen: dict[str, int] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
