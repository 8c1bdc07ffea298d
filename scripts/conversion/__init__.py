"""Safetensors into OpenVINO's format, with optimum-intel in an environment of its own."""
