"""What callers rely on: the schema written from predict.py, compared with another, and explained."""
