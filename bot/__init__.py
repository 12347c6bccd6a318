"""The running bot: application, webhook endpoint, jobs, command line."""
