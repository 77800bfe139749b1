"""The mutants of `jax` as classes, by their names."""

from benchmarks.fidelity.faults.backends import faulty

globals().update(faulty("jax"))
