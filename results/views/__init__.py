"""Which runs may be pooled, and what a pool is called."""
