"""The speed suite: frames per second and energy of the judged world."""
