"""What every backend is given alike: augmented images, initial weights, order of batches, learning rates."""
