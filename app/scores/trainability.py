"""Trainability: whether gradient steps can fit the images independently of each other."""

from torch.nn import functional as F

from app.scores import register
from app.scores.observation import Observation
from app.scores.spectrum import spectrum_entropy


@register("trainability")
def trainability(observation: Observation) -> float:
    """Entropy of the spectrum of the correlation of the images' BatchNorm gradients.

    Training BatchNorm alone is in the neural-tangent-kernel regime (arXiv 2112.00265), where
    the kernel of these gradients governs how fast each pattern of labels is learnt. Where
    images pull the parameters in the same direction the kernel has few large eigenvalues and
    all other patterns are learnt slowly (TE-NAS, arXiv 2102.11535, takes the condition number);
    where they pull in independent directions the entropy reaches ln N.
    """
    directions = F.normalize(observation.backward.gradients.double(), dim=1)
    return float(spectrum_entropy(directions @ directions.T))
