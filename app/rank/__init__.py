"""The rank benchmark: how well scores order architectures whose trained accuracy is known."""
