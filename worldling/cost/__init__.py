"""What a world costs: the ledger of training and serving, and plans for a target, from a price file."""
