"""One adapter a task: `load()` and one verb."""

from models.tasks import text_generation

TASKS = {"text-generation": text_generation}
