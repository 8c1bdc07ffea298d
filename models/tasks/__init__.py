"""One adapter a task: `load()` and one verb."""
