"""What a prediction costs, what to charge for it, and what a plan earns: every figure carries its source."""
