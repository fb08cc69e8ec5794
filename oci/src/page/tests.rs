use super::{InvalidPage, Page};

/// T30: what is made in code is clamped like what is read from a query.
#[test]
fn t30_no_page_is_greater_than_the_greatest() {
    let n = |n| Page::new(n, None).unwrap().n();
    assert_eq!(n(Some(u32::MAX)), Some(Page::MAX_N));
    assert_eq!((n(Some(0)), n(None)), (Some(0), None));
}

#[test]
fn last_is_bounded_text() {
    let page = |last: String| Page::new(None, Some(last));
    assert!(page("é".repeat(256)).is_ok());
    for last in ["a".repeat(513), "a\0".to_owned(), "a\nb".to_owned()] {
        assert_eq!(page(last), Err(InvalidPage::Last));
    }
}
