"""The packages that requirements/ names: their versions, and whether its compiled files follow from its sources."""
