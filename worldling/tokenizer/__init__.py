"""The tokenizer: pictures to latents on a small grid, and back."""
