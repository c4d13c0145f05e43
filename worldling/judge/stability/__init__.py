"""The stability suite: very long roll-outs."""
