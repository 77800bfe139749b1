"""The mutants of `torch` as classes, by their names."""

from benchmarks.fidelity.faults.backends import faulty

globals().update(faulty("torch"))
