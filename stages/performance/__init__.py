"""Stage 4: is AMP faster, smaller and as accurate as required, on this machine."""
