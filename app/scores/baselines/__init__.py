"""Training-free scores of the literature for the rank benchmark; higher is better.

Each reads the stand-alone network of an architecture at random initialisation (`swap_supernet` the
path through the supernet) and follows the definition in its paper. If the paper asks for its own
initialisation or input, the score draws it with the seed of the probe batch. BatchNorm uses the
statistics of the batch, as in training, unless a score says otherwise.
"""
