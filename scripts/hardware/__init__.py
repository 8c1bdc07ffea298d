"""Rentable hardware: prices and limits, with their source and age."""
