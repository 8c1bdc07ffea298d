"""Right and wrong inputs made from a schema, sent to a server, and its answers judged."""
