"""What is known of the dtype of an expression: which tensors are half, which are float32, and since when."""
