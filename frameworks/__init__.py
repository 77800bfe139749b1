"""One architecture, three frameworks."""
