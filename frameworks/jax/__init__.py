"""Parts that Flax and Keras on JAX share."""
