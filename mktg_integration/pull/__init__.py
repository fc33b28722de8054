"""Remote to local: what a provider's account holds, read into the mirror."""
