use super::*;

#[tokio::test]
async fn what_takes_too_long_is_what_was_measured_last() {
    let folder = tempfile::tempdir().unwrap();
    let gauge = Gauge::of(folder.path()).await;
    std::fs::write(folder.path().join("file"), vec![1; 1 << 20]).unwrap();
    assert_eq!(gauge.written(Duration::ZERO).await, None);
    let most = Duration::from_secs(60);
    let measured = gauge.written(most).await.unwrap();
    assert!((1 << 20..2 << 20).contains(&measured), "{measured}");
    std::fs::remove_file(folder.path().join("file")).unwrap();
    assert_eq!(gauge.written(Duration::ZERO).await, Some(measured));
    assert_eq!(gauge.written(most).await, Some(0));
}

#[tokio::test]
async fn what_cannot_be_read_is_not_known() {
    let folder = tempfile::tempdir().unwrap();
    let gauge = Gauge::of(folder.path()).await;
    drop(folder);
    assert_eq!(gauge.written(Duration::from_secs(60)).await, None);
    assert_eq!(Gauge::default().written(Duration::ZERO).await, Some(0));
}
