"""The figures drawn with matplotlib, for papers and notebooks."""
