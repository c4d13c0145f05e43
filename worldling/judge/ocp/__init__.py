"""The OCP suite: object contact prediction on the physics scenes."""
