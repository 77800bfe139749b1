"""Flax NNX with optax."""
