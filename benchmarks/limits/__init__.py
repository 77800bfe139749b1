"""The machine's limits: matrix products and copying at their best, by each library itself."""
