"""A trained network at work on images, a data set's or a user's own."""
