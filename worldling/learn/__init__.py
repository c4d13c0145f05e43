"""What any training needs: stages, an optimizer, latents, augmentation, sampling of clips."""
