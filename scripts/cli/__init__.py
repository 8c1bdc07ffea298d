"""What all commands share: options, errors, signals, progress."""
