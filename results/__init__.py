"""The results table: columns with units, append, read, merge, export."""
