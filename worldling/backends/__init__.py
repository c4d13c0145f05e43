"""Ways to run a world: the backends, the cache of what they build, the choice among them and the bench."""
