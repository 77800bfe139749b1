"""Figures, tables and one page, drawn from the results store."""

from results.interrupts import begin

begin(__name__)
