"""``list``: what can be asked for by name."""


def list_() -> None:
    """Models, recipes, datasets and backends."""
