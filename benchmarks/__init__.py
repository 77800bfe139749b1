"""What is run, and how it is timed."""

from results.interrupts import begin

begin(__name__)
