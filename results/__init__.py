"""What a run is worth: the record of a run, the store of records, tables, plots and the report."""
