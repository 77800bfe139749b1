"""Galaxies in, identical batches out."""
