"""Stage 2: finds AMP misuse by following what training code does, in which order, on which path."""
