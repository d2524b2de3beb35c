"""What a model of any make yields: the tensor of predictions in its output, and the size of its vocabulary."""
