"""What is run, and how it is timed."""
