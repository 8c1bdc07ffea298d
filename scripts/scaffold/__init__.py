"""A new model of the catalog: looked up, written, locked, and tried."""
