//! `laterbase fmt`: files are laid out, checked, or refused as they are.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod support;

use support::{Sandbox, check_golden, ndjson};

const UNTIDY: &str = "\
// What leaves.
root shipment{event 1 departed{1 port:text,2 carrier:text?}// one so far
}
?{ port }:-shipment.departed{port:port} , port!=\"NLRTM\"   order by port
";

#[test]
fn a_file_gets_its_layout_and_keeps_its_comments() {
    let sandbox = Sandbox::new();
    let file = sandbox.file("untidy.later", UNTIDY);
    let answer = sandbox.run(["fmt", "untidy.later"]).success();
    assert_eq!(answer.stdout, "untidy.later\n");
    let layout = std::fs::read_to_string(&file).unwrap();
    check_golden("fmt.later", &layout);
    // It has its layout now, and nothing else was left in the directory.
    assert_eq!(sandbox.run(["fmt", "untidy.later"]).success().stdout, "");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), layout);
    assert_eq!(std::fs::read_dir(file.parent().unwrap()).unwrap().count(), 1);
}

#[test]
fn standard_input_is_laid_out_to_standard_output() {
    let sandbox = Sandbox::new();
    check_golden("fmt.later", &sandbox.run_with_input(["fmt", "-"], UNTIDY).success().stdout);
    let answer = sandbox.run_with_input(["fmt", "-", "--check"], UNTIDY).code(5);
    assert_eq!(answer.stdout, "");
    sandbox.run(["fmt", "-", "other.later"]).code(2);
}

#[test]
fn a_check_lists_what_would_change_and_changes_nothing() {
    let sandbox = Sandbox::new();
    let file = sandbox.file("untidy.later", UNTIDY);
    sandbox.file("tidy.later", "?{x: 1} :- event{}\n");
    let answer = sandbox.run(["fmt", "--check", "tidy.later", "untidy.later"]).code(5);
    assert_eq!(answer.stdout, "untidy.later\n");
    assert!(answer.stderr.starts_with("error: 1 file is not laid out\n"), "{}", answer.stderr);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), UNTIDY);
    assert_eq!(sandbox.run(["fmt", "--check", "tidy.later"]).success().stdout, "");
    let answer = sandbox.run(["fmt", "--check", "--json", "tidy.later", "untidy.later"]).code(5);
    let report = &ndjson(&answer.stdout)[..];
    assert_eq!(report, [serde_json::json!({"would_change": ["untidy.later"], "unchanged": 1})]);
}

#[test]
fn a_file_that_cannot_be_read_stays_and_the_others_are_laid_out() {
    let sandbox = Sandbox::new();
    let wrong = "?{ port } :- shipment.departed{port\n?{x} :- x = \"open\n";
    let file = sandbox.file("wrong.later", wrong);
    let other = sandbox.file("untidy.later", UNTIDY);
    let bytes = sandbox.file("bytes.later", b"\xff\xfe");
    let arguments = ["fmt", "wrong.later", "nowhere.later", "bytes.later", "untidy.later"];
    let answer = sandbox.run(arguments).code(2);
    check_golden("fmt-mistakes.txt", &answer.stderr);
    assert_eq!(answer.stdout, "untidy.later\n");
    assert_eq!(std::fs::read_to_string(file).unwrap(), wrong);
    assert_eq!(std::fs::read(bytes).unwrap(), b"\xff\xfe");
    assert_ne!(std::fs::read_to_string(other).unwrap(), UNTIDY);
}

#[cfg(unix)]
#[test]
fn a_link_stays_a_link_and_permissions_stay() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let sandbox = Sandbox::new();
    let file = sandbox.file("untidy.later", UNTIDY);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    symlink("untidy.later", sandbox.path("link.later")).unwrap();
    sandbox.run(["fmt", "link.later"]).success();
    assert!(sandbox.path("link.later").is_symlink());
    let metadata = file.metadata().unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o640);
    assert_ne!(std::fs::read_to_string(&file).unwrap(), UNTIDY);
}
