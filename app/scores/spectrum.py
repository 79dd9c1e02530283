"""How many directions a set of vectors really uses."""

import torch
from torch import Tensor


def spectrum_entropy(gram: Tensor) -> Tensor:
    """Entropy (nats) of the normalised eigenvalues of a symmetric positive matrix, n×n.

    It is ln k for k equal eigenvalues, the logarithm of the effective rank (Roy and Vetterli,
    EUSIPCO 2007), and NaN for the zero matrix, which has no directions.
    """
    eigenvalues = torch.linalg.eigvalsh(gram.double()).clamp_min(0)
    entropy: Tensor = torch.special.entr(eigenvalues / eigenvalues.sum()).sum()
    return entropy
