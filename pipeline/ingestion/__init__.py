"""From whatever file people have to messages."""
