"""SCP003: a name is read before its scope binds it."""

from __future__ import annotations

from verifier.api import Bad, Good, RuleInfo, Severity

RULE = RuleInfo(
    code="SCP003",
    name="used-before-binding",
    severity=Severity.CRITICAL,
    summary="A name is used before its own scope binds it.",
    why=(
        "Python decides for a whole function which names are its own, so a later assignment hides a module's name of"
        " the same spelling and the earlier read raises UnboundLocalError. CRITICAL where every path fails; LOW where a"
        " branch decides. Loops that may run zero times are not reported, and calls are not followed."
    ),
    examples=(
        Bad("""
            scale = 65536.0

            def update(found_inf):
                if found_inf:
                    print("overflow at", scale)  # expect: SCP003
                scale = 2.0
                return scale
        """),
        Bad("""
            def make_dtype(name):
                if name == "fp16":
                    dtype = "float16"
                elif name == "bf16":
                    dtype = "bfloat16"
                return dtype  # expect: SCP003
        """),
        Bad("""
            def load(path):
                try:
                    state = open(path)
                except OSError as error:
                    state = None
                return state, error  # expect: SCP003
        """),
        Good("""
            def make_scaler(enabled):
                if enabled:
                    scaler = object()
                loss = 1.0
                if enabled:
                    loss = (scaler, loss)
                return loss
        """),
        Good("""
            def last(batches):
                for batch in batches:
                    loss = batch
                return loss
        """),
    ),
)
