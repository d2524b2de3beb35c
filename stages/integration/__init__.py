"""Stage 3: do imports, tests and real training steps work; does AMP train like FP32."""
