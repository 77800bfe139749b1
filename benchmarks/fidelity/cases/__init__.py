"""What the ladder asks: small networks, batches and optimizers."""
