"""A session: check, load, plan, run, and a row for each run."""
