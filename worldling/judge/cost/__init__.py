"""The cost suite: the ledger of the judged world at the bundled prices."""
