"""What staff and monitors are shown: health, deliveries, traces, figures. Reads only the database."""
