"""Converts safetensors to OpenVINO's format, with optimum-intel in a separate environment."""
