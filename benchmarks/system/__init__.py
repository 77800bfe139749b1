"""The machine: processors, memory, versions, GPU."""
