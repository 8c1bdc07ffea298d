"""How good a model is: its answers to a file of inputs, judged by metrics with their intervals of confidence."""
