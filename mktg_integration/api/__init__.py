"""The JSON API, for single-page front ends and other programs of the site's."""
