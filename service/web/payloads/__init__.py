"""What the admin API reads and writes; "schema" means XDM elsewhere."""
