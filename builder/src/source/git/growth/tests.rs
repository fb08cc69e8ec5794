use std::time::Instant;

use super::super::mirror::Mirrors;
use super::*;

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

async fn take(mirrors: &Mirrors) -> Mirror {
    let url = "https://git.example.com/x".parse().unwrap();
    mirrors.take("a", &url, soon()).await.unwrap()
}

#[tokio::test]
async fn what_comes_is_counted_as_it_comes() {
    let root = tempfile::tempdir().unwrap();
    let written = Written::default();
    let mirror = take(&Mirrors::new(root.path().to_path_buf())).await;
    std::fs::write(mirror.folder().join("objects/pack/old"), [0; 500]).unwrap();
    let fetch = async {
        std::fs::write(mirror.folder().join("objects/pack/tmp_new"), [0; 1000]).unwrap();
        while written.bytes() == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(written.bytes(), 1000);
        std::fs::write(mirror.folder().join("objects/pack/more"), [0; 200]).unwrap();
        Ok(7)
    };
    assert_eq!(counted(&written, &mirror, fetch).await.unwrap(), 7);
    assert_eq!(written.bytes(), 1200);
}

#[tokio::test]
async fn what_a_fetch_that_is_broken_off_has_left_goes_at_once() {
    let root = tempfile::tempdir().unwrap();
    let mirrors = Mirrors::new(root.path().to_path_buf());
    let written = Written::default();
    let mirror = take(&mirrors).await;
    let left = mirror.folder().join("objects/pack/tmp_pack_x");
    let whole = mirror.folder().join("objects/pack/whole");
    std::fs::write(&whole, "").unwrap();
    let endless = async {
        std::fs::write(&left, [0; 1000]).unwrap();
        std::future::pending::<Result<(), Fault>>().await
    };
    let fetch = counted(&written, &mirror, endless);
    let broken_off = tokio::time::timeout(Duration::from_millis(300), fetch).await;
    broken_off.unwrap_err();
    drop(mirror);
    // Until it is gone it counts.
    while !written.is_last() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(!left.exists());
    assert!(whole.exists());
    drop(take(&mirrors).await);
}
