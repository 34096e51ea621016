"""What the doors for programs and for people share: where a request comes from, and how often it may come."""
