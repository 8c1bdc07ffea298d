"""One client for Cog servers and for Replicate: inputs, streams, cancellation, files."""
