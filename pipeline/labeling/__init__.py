"""From messages and annotations to labelled messages in three splits."""
