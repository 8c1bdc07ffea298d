"""One client for Cog servers and for Replicate: inputs, streams, cancels, files."""
