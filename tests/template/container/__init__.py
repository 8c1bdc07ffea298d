"""Tests of the image that the real cog command builds; they need a Docker engine and cog."""
