use proptest::prelude::*;

use super::UploadId;
use crate::strategies;

#[test]
fn random_bytes_become_a_version_4_uuid() {
    assert_eq!(
        UploadId::from_random([0xff; 16]).to_string(),
        "ffffffff-ffff-4fff-bfff-ffffffffffff"
    );
    assert_eq!(
        UploadId::from_random([0; 16]).to_string(),
        "00000000-0000-4000-8000-000000000000"
    );
}

#[test]
fn other_forms_of_a_uuid_are_refused() {
    let id = UploadId::from_random([0xab; 16]).to_string();
    let others = [
        String::new(),
        id.to_uppercase(),
        id.replace('-', ""),
        format!("{{{id}}}"),
        format!("urn:uuid:{id}"),
        format!("{id}/.."),
        "00000000-0000-0000-0000-000000000000".to_owned(),
        "6ba7b810-9dad-11d1-80b4-00c04fd430c8".to_owned(),
    ];
    for text in others {
        assert!(UploadId::parse(&text).is_err(), "{text}");
    }
    assert!(UploadId::parse(&id).is_ok());
}

proptest! {
    #[test]
    fn text_and_json_come_back(id in strategies::upload_id()) {
        prop_assert_eq!(UploadId::parse(&id.to_string()), Ok(id));
        let json = serde_json::to_string(&id).unwrap();
        prop_assert_eq!(serde_json::from_str::<UploadId>(&json).unwrap(), id);
    }

    #[test]
    fn what_parses_is_what_was_written(text in prop_oneof!["[0-9a-fA-F-]{36}", strategies::hostile()]) {
        if let Ok(id) = UploadId::parse(&text) {
            prop_assert_eq!(id.to_string(), text);
        }
    }
}
