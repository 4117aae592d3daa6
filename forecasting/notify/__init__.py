"""Messages to people about what a job does by itself: each is kept, sent once to every sink, and never stops a flow."""
