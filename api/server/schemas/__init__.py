"""What bodies and answers hold; unknown fields are refused."""
