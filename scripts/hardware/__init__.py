"""Hardware that can be rented: prices and limits, with their source and age."""
