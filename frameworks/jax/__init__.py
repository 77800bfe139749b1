"""What Flax and Keras on JAX share."""
