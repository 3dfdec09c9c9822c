//! Questions, answered once.
#![forbid(unsafe_code)]
