"""Connecting an account by OAuth: install, callback, disconnect, and the refresh of connections that idle."""
