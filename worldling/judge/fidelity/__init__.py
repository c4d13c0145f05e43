"""The fidelity suite: predicted frames against held-out recordings."""
