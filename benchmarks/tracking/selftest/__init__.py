"""Error rates of history and gate, tried on made-up and on real runs."""
