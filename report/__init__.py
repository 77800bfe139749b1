"""Figures, tables and one page, drawn from the results store."""
