"""What is to be run, as data: suite, experiments, options, and the matrix that comes of them."""
