"""The cases of the ladder: small networks, batches and optimizers."""
