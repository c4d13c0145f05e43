"""The surprise suite: violation of expectation on the physics scenes."""
