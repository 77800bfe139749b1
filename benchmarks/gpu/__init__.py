"""All that is to be measured on a GPU, in one prepared command: `python -m benchmarks.gpu`."""
