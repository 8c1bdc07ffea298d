"""What runs on your machine: one file a command, each begins with the command that runs it."""
