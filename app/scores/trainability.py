"""Trainability: in how many directions gradients can move the layers on the path."""

import torch
from torch.nn import functional as F

from app.scores import SCORES
from app.scores.features import eigenvalues, log_volume
from app.scores.trace import Trace


@SCORES.register("gradient_volume")
def gradient_volume(trace: Trace) -> float:
    """Mean log-eigenvalue of the sum over activations of the cosines of their gradients.

    The tangent kernel of a layer is the product of a kernel of its inputs and one of its gradients
    (Jacot et al. 2018, arXiv 1806.07572), and a network learns fast in directions where the sum
    over its layers has large eigenvalues. This takes the gradients' factor, and of it the angles:
    positions whose gradients agree in every layer cannot be taught apart. Sizes of gradients are
    left out, as BatchNorm makes the size of the weights before it meaningless. A layer without
    gradients adds nothing.
    """
    kernel = torch.zeros(())
    for gradients in trace.gradient_samples:
        directions = F.normalize(gradients, dim=1, eps=1e-30)
        kernel = kernel + directions @ directions.T
    layers = kernel.diagonal().mean()
    return float(log_volume(eigenvalues(kernel)) + layers.log())
