"""The hand-off packet that an agent gets, with feedback on earlier attempts."""
