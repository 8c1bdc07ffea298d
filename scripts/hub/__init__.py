"""Publishing on the Hugging Face Hub: card, evaluation, demo Space."""
