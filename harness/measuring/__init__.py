"""The machine itself, what a layer costs, and how well logits tell classes apart."""
