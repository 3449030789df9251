"""`outreach serve`: the model behind an HTTP API, and a page to paste a message into."""
