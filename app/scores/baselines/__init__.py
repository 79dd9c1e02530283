"""Training-free scores of the literature, for the rank benchmark; one a file, higher is better.

Each reads the stand-alone network of an architecture at random initialisation and is written
from the definition in its paper. Where the paper asks for an initialisation or input of its own,
the score draws it from the probe' seed. BatchNorm uses the statistics of the batch, as in
training, unless a score says otherwise.
"""

from app.scores.baselines.rank_sums import RANK_SUMS, combine

__all__ = ["RANK_SUMS", "combine"]
