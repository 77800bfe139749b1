"""One run inside a process of its own."""
