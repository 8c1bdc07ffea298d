"""The packages in requirements/: their versions, and whether the compiled files match the sources."""
