"""A network to take away: ONNX or `torch.export`, its weights, and all that one must know of it."""
