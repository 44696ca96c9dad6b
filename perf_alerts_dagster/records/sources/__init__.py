"""Sources of track records: CSV, Parquet, SQL and the bundled sample."""
