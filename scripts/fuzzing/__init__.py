"""Makes right and wrong inputs from a schema, sends them to a server, and judges its answers."""
