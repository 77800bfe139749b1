"""How often history and gate are wrong, tried on made-up and on real runs."""
