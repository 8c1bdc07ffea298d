"""What the fuzz sends for an input: right and wrong values by its schema, and small real files."""
