"""Make a world fast: backends, batches of sessions, and the bench that measures them."""
