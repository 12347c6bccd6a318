"""GitHub's rules: what each change of the state causes."""
