"""The demo: one Gradio app, run by `make demo`, and written by `make space` into the folder of a Space."""
