"""The runs as data: suite, experiments, options, and the matrix that they make."""
