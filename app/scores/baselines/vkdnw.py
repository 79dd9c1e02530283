"""VKDNW, the variance of knowledge of deep network weights (arXiv 2502.04975).

`app.rank` sums its log-rank with those of `jacob_cov`, AZ-NAS's expressivity and trainability, and
`flops` (VKDNW_agg).
"""

import torch
from torch import Tensor, nn

from app.scores import BASELINES
from app.scores.baselines.networks import fan_in, gaussian_images, redraw, weights
from app.scores.trace import Trace

IMAGES = 16
"""Each image takes a backward pass for every class. The paper takes 64."""


@BASELINES.register("vkdnw")
def vkdnw(trace: Trace) -> float:
    """Number of layers plus the entropy of the deciles of the Fisher information's spectrum.

    VKDNW_single of the paper: layers decide, and the entropy, below ln 9, where they are equal.
    """
    seed = trace.probe.seed
    network = redraw(trace.fresh_network(), fan_in, seed)
    information = fisher(network, gaussian_images(trace.probe.images[:IMAGES], seed))
    return len(weights(network)) + decile_entropy(information)


def fisher(network: nn.Module, images: Tensor) -> Tensor:
    """P×P Fisher information of P single weights: the first of each parameter tensor.

    The mean over images of Jᵀ (diag p − p pᵀ) J, with J the gradients of the class scores and p
    their softmax. As in the authors' code BatchNorm does not use the statistics of the batch.
    """
    network.eval()
    chosen = list(network.parameters())
    information = torch.zeros(len(chosen), len(chosen), device=images.device)
    for image in images:
        (logits,) = network(image[None])
        p = logits.detach().softmax(0)
        rows = []
        for logit in logits:
            found = torch.autograd.grad(
                logit, chosen, retain_graph=True, allow_unused=True, materialize_grads=True
            )
            rows.append(torch.stack([g.flatten()[0] for g in found]))
        jacobian = torch.stack(rows)
        information += jacobian.T @ (p.diag() - torch.outer(p, p)) @ jacobian / len(images)
    return information


def decile_entropy(information: Tensor) -> float:
    """Entropy (nats) of the nine deciles of the eigenvalues, scaled to sum 1; 0 for zeros."""
    eigenvalues = torch.linalg.eigvalsh(information.double()).clamp_min(0)
    deciles = torch.quantile(eigenvalues, torch.arange(1, 10).to(eigenvalues) / 10)
    return float(torch.special.entr(deciles / deciles.sum().clamp_min(1e-300)).sum())
