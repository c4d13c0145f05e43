"""The play suite: scripted players drive the dream, beside the real environment under the same actions."""
