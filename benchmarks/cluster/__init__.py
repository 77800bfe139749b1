"""Runs on several machines: blocks handed to a scheduler, and their rows as they arrive."""
