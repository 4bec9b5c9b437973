"""Trained networks in forms that run without this project, each run again and compared before it is called done."""
