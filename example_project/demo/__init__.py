"""The demo: sandbox, site and cluster as real processes, visitors who sign up, and a look at what arrived where."""
