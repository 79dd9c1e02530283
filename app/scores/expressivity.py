"""Expressivity: how many independent patterns the features carry."""

import torch
from torch import Tensor

from app.scores import register
from app.scores.observation import Observation
from app.scores.spectrum import spectrum_entropy


@register("expressivity")
def expressivity(observation: Observation) -> float:
    """Entropy of the spectrum of the feature covariance, summed over the taps.

    Channels whose features move together can be replaced by fewer; a flat spectrum means that
    none can. Wide and deep paths of well-mixing operations score high. BatchNorm makes deep
    random features orthogonal (arXiv 2106.03970), which this measures; the same entropy is the
    expressivity of AZ-NAS (arXiv 2403.19232), there on stand-alone random networks.
    """
    entropies = [spectrum_entropy(covariance(f)) for f in observation.backward.features]
    return float(torch.stack(entropies).sum())


def covariance(features: Tensor) -> Tensor:
    """C×C covariance of N×C×H×W features over images and positions."""
    columns = features.movedim(1, 0).flatten(1)
    centred = columns - columns.mean(1, keepdim=True)
    return centred @ centred.T / columns.shape[1]
