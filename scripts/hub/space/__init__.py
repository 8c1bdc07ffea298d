"""The demo: one Gradio app, run here by `make demo`, and in the folder that `make space` writes for a Space."""
