"""Questions over many runs: outcome, attribution, reproduction."""
