"""Galaxies for the workers: staged once by the harness, loaded by each process."""
