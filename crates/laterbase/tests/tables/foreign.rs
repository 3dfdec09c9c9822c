//! Events under a table's root that are no operations, as a foreign writer may have made them.

use laterbase::{NewEvent, PushError};

use crate::declared;

#[test]
fn nobody_records_under_a_reserved_root() {
    let fixture = declared();
    for root in ["_table.1", "_table.99", "_sys", "_mine"] {
        let refused = fixture.db.commit().push(&NewEvent::new(root, "c1", "put"));
        let Err(error @ PushError::Reserved { .. }) = refused else { panic!("{refused:?}") };
        assert!(error.to_string().contains("`put` and `delete`"), "{error}");
    }
}
