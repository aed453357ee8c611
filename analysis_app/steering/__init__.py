"""Starting, following and steering a training, which is a process of its own."""
