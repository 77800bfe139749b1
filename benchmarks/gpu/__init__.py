"""All measurements on a GPU, in one prepared command: `python -m benchmarks.gpu`."""
