use std::fs;

use super::*;

#[test]
fn folders_that_wait_are_few() {
    let tree = tempfile::tempdir().unwrap();
    for one in 0..10 {
        for two in 0..10 {
            fs::create_dir_all(tree.path().join(format!("{one}/{two}/deep"))).unwrap();
        }
    }
    let walk = |most| {
        let mut met = 0;
        let walked = walk_with(
            most,
            tree.path(),
            |_| Ok(true),
            |_| {
                met += 1;
                Ok(ControlFlow::<()>::Continue(()))
            },
        );
        walked.map(|_| met)
    };
    // The folders beside each other on the way down, not all that there are.
    assert_eq!(walk(20).unwrap(), 1 + 10 + 100 + 100);
    let error = walk(15).unwrap_err();
    assert!(error.to_string().contains("too many folders"), "{error}");
}
