"""Local servers that speak the HTTP of the services that the project downloads from."""
