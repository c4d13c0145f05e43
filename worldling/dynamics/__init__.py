"""The dynamics: a backbone that looks back once per frame, a light head that draws the next latent."""
