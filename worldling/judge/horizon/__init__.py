"""The horizon suite: object permanence, motion and drift over 1,000 predicted frames."""
