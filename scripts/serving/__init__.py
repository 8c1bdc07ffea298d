"""Cog's server on this machine, without Docker or in a container, and the Docker engine."""
