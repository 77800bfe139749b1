"""Benchmark runs and their timing."""

from results.interrupts import begin

begin(__name__)
