"""The HTTP server: requests, authentication, limits, the REST API."""
