"""The Physion suite: contact prediction on Physion's own stimuli."""
