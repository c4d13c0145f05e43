"""Ground truth: clips, trials and episodes that the simulators make, reproducible from their seeds."""
