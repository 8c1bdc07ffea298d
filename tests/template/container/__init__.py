"""What holds of the image that the real cog command builds: needs a Docker engine and cog."""
