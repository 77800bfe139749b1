"""Rows and files: how runs are written and read."""
