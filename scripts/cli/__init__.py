"""What every command does: options, errors, signals, progress."""
