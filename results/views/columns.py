"""Columns of the store that hold JSON, as Python values."""

import json
from typing import Any


def json_object(value: object) -> dict[str, Any]:
    """A JSON column's value; empty where there is none or it holds something else."""
    try:
        found = json.loads(value) if isinstance(value, str) else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
