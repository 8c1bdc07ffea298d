"""The Gradio app. It ships in the Space's folder, so it imports nothing of this project but its own files."""
