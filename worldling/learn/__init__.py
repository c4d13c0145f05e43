"""What any training needs: stages with a budget and checkpoints, an optimizer, latents, augmentation, sampling of
clips."""
