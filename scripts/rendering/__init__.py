"""What is rendered: cog.yaml and its kind, schemas, and the measured and listed parts of README and docs."""
