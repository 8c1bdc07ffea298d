"""Cog's server on this machine: without Docker, in a container, and the Docker engine itself."""
