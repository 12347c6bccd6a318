"""The lowest room: settings of the service, a repository's configuration, labels, defaults."""
