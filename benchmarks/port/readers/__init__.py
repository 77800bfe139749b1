"""A program as a list of operations that can be run and changed: one reader for each framework."""
