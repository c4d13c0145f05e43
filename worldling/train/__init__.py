"""Training: the tokenizer first, then the dynamics from cached latents."""
