"""The review page: people label one message at a time in the browser."""
