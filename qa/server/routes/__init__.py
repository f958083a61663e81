"""The resources, one file each. A route names its role by the type of its caller or base."""
