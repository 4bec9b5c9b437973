"""From flags or a file to the list of runs, every choice checked before any worker starts."""
