"""Rules over a record and its projections: what breaches, how badly, with which evidence."""
