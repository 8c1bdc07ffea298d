"""What a new version of a model changes for the people who call it."""
