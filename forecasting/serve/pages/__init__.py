"""The page for people: templates, what they show, and the files they need; nothing comes from another host."""
