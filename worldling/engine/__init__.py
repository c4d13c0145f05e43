"""Many sessions of one world at once."""
