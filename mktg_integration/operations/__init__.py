"""What staff may have done, by admin or API: asks for the work and audits it. Callers ask for permission."""
