"""The chaos suite: valid-prediction time of chaotic environments."""
