"""Bricks of the networks: attention, memory, blocks, the latent lattice."""
