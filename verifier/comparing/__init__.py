"""`verify compare`: two reports of one task."""
