use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use super::*;

fn secret(text: &str) -> Secret {
    Secret::new(text.into())
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}

#[test]
fn a_new_file_is_for_its_owner_only_and_verifies() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("users");
    let mut file = File::load(&path).unwrap();
    assert_eq!(
        file.set_password("alice", &secret("correct horse")),
        Ok(true)
    );
    file.save().unwrap();
    assert_eq!(mode(&path), 0o600);
    let text = fs::read_to_string(&path).unwrap();
    let hash = text.trim().strip_prefix("alice:").unwrap();
    assert!(hash.starts_with("$2b$12$") && bcrypt::verify("correct horse", hash).unwrap());
    assert!(crate::Htpasswd::load(&path).is_ok());
    assert_eq!(
        fs::read_dir(dir.path()).unwrap().count(),
        1,
        "no temporary file stays"
    );
}

#[test]
fn other_lines_their_order_and_comments_stay() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("users");
    fs::write(&path, "# admins\nalice:old\n\nbob:$apr1$x$y\ncarol:z").unwrap();
    let mut file = File::load(&path).unwrap();
    assert_eq!(file.users().collect::<Vec<_>>(), ["alice", "bob", "carol"]);
    assert_eq!(file.set_password("bob", &secret("new")), Ok(false));
    assert!(file.remove("carol") && !file.remove("carol") && !file.remove("# admins"));
    file.save().unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert!(
        text.starts_with("# admins\nalice:old\n\nbob:$2b$12$"),
        "{text}"
    );
    assert_eq!(text.lines().count(), 4);
}

#[test]
fn names_and_passwords_that_cannot_be() {
    let dir = tempfile::tempdir().unwrap();
    let mut file = File::load(&dir.path().join("users")).unwrap();
    for user in ["", "a:b", "a\nb", " a", "#a", &"u".repeat(256)] {
        assert!(
            matches!(
                file.set_password(user, &secret("p")),
                Err(EditError::User(_))
            ),
            "{user}"
        );
    }
    for password in ["", "a\0b", &"p".repeat(73)] {
        let result = file.set_password("a", &secret(password));
        assert!(matches!(result, Err(EditError::Password(_))), "{password}");
    }
    assert_eq!(file.users().count(), 0);
    assert_eq!(file.set_password("a", &secret(&"p".repeat(72))), Ok(true));
}

#[test]
fn an_old_file_keeps_its_groups_rights_but_the_world_loses_its() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("users");
    fs::write(&path, "a:x\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let mut file = File::load(&path).unwrap();
    file.remove("a");
    file.save().unwrap();
    assert_eq!(
        (mode(&path), fs::read_to_string(&path).unwrap()),
        (0o640, String::new())
    );
}

#[test]
fn behind_a_symlink_the_target_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let (real, link) = (dir.path().join("real"), dir.path().join("link"));
    fs::write(&real, "a:x\nb:y\n").unwrap();
    symlink(&real, &link).unwrap();
    let mut file = File::load(&link).unwrap();
    file.remove("a");
    file.save().unwrap();
    assert_eq!(fs::read_to_string(&real).unwrap(), "b:y\n");
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
}

#[test]
fn a_change_by_somebody_else_is_not_lost() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("users");
    fs::write(&path, "a:x\n").unwrap();
    let (mut one, mut two) = (File::load(&path).unwrap(), File::load(&path).unwrap());
    one.remove("a");
    one.save().unwrap();
    two.set_password("b", &secret("p")).unwrap();
    assert!(
        two.save()
            .unwrap_err()
            .to_string()
            .contains("changed meanwhile")
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), "");
}
