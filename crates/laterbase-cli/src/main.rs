//! The `laterbase` command.

fn main() {}
