"""Augmentation drawn anew each epoch: from the seed, the epoch and the galaxy, and nothing else."""
