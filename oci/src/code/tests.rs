use std::collections::HashSet;

use serde_json::json;

use super::{ErrorBody, ErrorCode};

#[test]
fn every_code_is_listed_once_with_a_message_and_an_error_status() {
    let names: HashSet<_> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(names.len(), ErrorCode::ALL.len());
    for code in ErrorCode::ALL {
        assert!(
            code.as_str()
                .bytes()
                .all(|b| b.is_ascii_uppercase() || b == b'_'),
            "{code}"
        );
        assert!(!code.default_message().is_empty());
        assert!(code.status().is_client_error() || code.status().is_server_error());
    }
}

#[test]
fn the_body_is_as_specified() {
    let body = ErrorBody::new(
        ErrorCode::TooManyRequests,
        "wait",
        json!({"requestId": "1"}),
    );
    assert_eq!(
        body.to_json(),
        r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"wait","detail":{"requestId":"1"}}]}"#
    );
    assert_eq!(
        ErrorBody::from(ErrorCode::Denied).to_json(),
        r#"{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}"#
    );
}
