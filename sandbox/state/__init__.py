"""The state of the sandbox: accounts, repositories, issues, pull requests."""
