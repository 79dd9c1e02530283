"""Trainability: how much can be learnt by moving γ and β alone.

Training BatchNorm only stays near the start, where a network is as good as linear in its
parameters (arXiv 2112.00265): what it can learn is decided by its tangent kernel, the products
of the images' gradients. One backward pass gives all of it, as an image's gradient of γ and β is
a sum over its positions.
"""

import torch

from app.scores import register
from app.scores.observation import Observation


@register("tangent_capacity")
def tangent_capacity(observation: Observation) -> float:
    """log det(I + K), K being the sum of the layers' BatchNorm tangent kernels.

    Each layer's kernel, N×N over the images, is scaled to a mean of 1 on its diagonal. The value
    (twice the information gain of a Gaussian process, arXiv 0912.3995, eq. 3) grows with the
    layers whose parameters the output hears of and falls where they move all images alike.
    TE-NAS (arXiv 2102.11535) takes the condition number of the kernel of all parameters.
    """
    kernel = torch.zeros(())
    for tangent in observation.tangents:
        gram = tangent.double() @ tangent.double().T
        size = gram.diagonal().mean()
        if size > 0:  # else the layer does not reach the output
            kernel = kernel + gram / size
    if not kernel.dim():
        return 0.0
    return float(torch.logdet(kernel + torch.eye(len(kernel), device=kernel.device)))
