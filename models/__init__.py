"""The code in the image: what a model is, where its weights are, and how its task runs on an engine."""
