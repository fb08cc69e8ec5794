use super::*;

#[tokio::test]
async fn what_takes_too_long_is_what_was_measured_last() {
    let folder = tempfile::tempdir().unwrap();
    let gauge = Gauge::of(folder.path()).await;
    std::fs::write(folder.path().join("file"), vec![1; 1 << 20]).unwrap();
    assert_eq!(gauge.written(Duration::ZERO).await, Reading::Unknown);
    let most = Duration::from_secs(60);
    let measured = gauge.written(most).await;
    let Reading::Bytes(bytes) = measured else {
        panic!("{measured:?}");
    };
    assert!((1 << 20..2 << 20).contains(&bytes), "{bytes}");
    std::fs::remove_file(folder.path().join("file")).unwrap();
    assert_eq!(gauge.written(Duration::ZERO).await, measured);
    assert_eq!(gauge.written(most).await, Reading::Bytes(0));
}

#[tokio::test]
async fn what_was_hidden_is_so_too_when_it_takes_too_long() {
    let folder = tempfile::tempdir().unwrap();
    let (gauge, _hides) = Gauge::hiding(folder.path()).await;
    assert_eq!(gauge.written(Duration::ZERO).await, Reading::Unknown);
    let most = Duration::from_secs(60);
    assert_eq!(gauge.written(most).await, Reading::Hidden);
    assert_eq!(gauge.written(Duration::ZERO).await, Reading::Hidden);
}

#[tokio::test]
async fn what_cannot_be_read_is_not_known() {
    let folder = tempfile::tempdir().unwrap();
    let gauge = Gauge::of(folder.path()).await;
    drop(folder);
    assert_eq!(
        gauge.written(Duration::from_secs(60)).await,
        Reading::Unknown
    );
    let none = Gauge::default();
    assert_eq!(none.written(Duration::ZERO).await, Reading::Bytes(0));
}
