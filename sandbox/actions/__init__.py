"""GitHub Actions of the sandbox: workflow files, runs, jobs, logs."""
