"""The page: its layout, tabs and panels, and the one selection that they read."""
