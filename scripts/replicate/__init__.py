"""What this project knows of Replicate: its hardware, and how to speak to its API."""
