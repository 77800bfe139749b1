"""Faults to put into a backend, to see which rung finds them."""
