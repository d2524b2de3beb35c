"""SYN003: a configuration file of the task does not parse."""

from __future__ import annotations

from verifier.api import Bad, Good, RuleInfo, Severity

RULE = RuleInfo(
    code="SYN003",
    name="config-file-syntax-error",
    severity=Severity.HIGH,
    summary="A TOML, JSON or YAML file of the task does not parse.",
    why=(
        "A training run reads its configuration when it starts, often hours after it was queued. Only the syntax is"
        " looked at: YAML tags are not resolved, several documents in one file are fine, templates and JSON lines are"
        " recognised. JSON that parses once its comments are taken out is LOW: some readers take it."
    ),
    examples=(
        Bad("""
            # --- config/train.yaml
            optimizer: adamw
            schedule: {warmup: 500, total: 20000
            precision: bf16  # expect: SYN003
        """),
        Bad("""
            # --- config/model.toml
            [model]
            layers = 12
            heads = twelve  # expect: SYN003
        """),
        Good("""
            # --- config/train.yaml
            base: &base {precision: bf16, compile: true}
            model: !python/object:model.Model
            ---
            run: {debug: true}
            # --- config/deepspeed.json
            {"bf16": {"enabled": true}}
        """),
    ),
)
