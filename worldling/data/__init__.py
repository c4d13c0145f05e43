"""Data: open an environment, record it, keep it in HDF5 shards, look at it, import it from video."""
