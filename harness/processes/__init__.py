"""Worker processes as the parent has them: their environments, their start, what they say, their end."""
