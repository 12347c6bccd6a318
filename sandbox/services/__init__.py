"""GitHub's rules: functions that change the state and send webhooks."""
