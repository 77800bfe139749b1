"""Tracking: history, baselines, verdicts, change points; the command is benchmarks.track."""
