"""Facts about a model that can be found before downloading it."""
