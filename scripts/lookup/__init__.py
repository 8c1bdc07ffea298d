"""What is known of a model before anything of it is downloaded."""
