"""One adapter per task: `load()` and one verb."""
