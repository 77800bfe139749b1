"""The results table: columns with units, append, read, merge, export."""

from results.interrupts import begin

begin(__name__)
