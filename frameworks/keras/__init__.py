"""Keras, on each of its engines."""
