"""The Gradio app. It is copied into the Space's folder, so it imports only its own files."""
