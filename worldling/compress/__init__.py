"""Make a trained world smaller or cheaper, and measure what that costs in truth."""
