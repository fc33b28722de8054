"""For tests of providers, ours and others': the contract suite, and a plan's rounds without a database.

It needs pytest and responses: ``pip install "mktg-integration[test]"``.
"""
