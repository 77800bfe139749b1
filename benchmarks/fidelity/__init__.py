"""Do the frameworks train the same network? The ladder R0-R8, measured and judged."""
