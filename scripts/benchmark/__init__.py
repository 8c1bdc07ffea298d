"""What `make bench` measures: servers and the bare engine under the same load, and the receipt made from it."""
