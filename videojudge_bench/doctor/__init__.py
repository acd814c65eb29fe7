"""What `videojudge doctor` looks at: each module has one section of the examination."""
