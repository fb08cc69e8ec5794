use super::*;

#[test]
fn a_label_names_several() {
    let artifacts = Artifact::parse_all("/tmp/app.war:/./x;/opt/lib;\"/a b\":c/d").unwrap_err();
    assert_eq!(artifacts.reason(), Reason::InvalidArtifactsMapping);
    let artifacts = Artifact::parse_all("/tmp/app.war:./x/;/opt/lib;\"/a b\":c/d").unwrap();
    let working_dir = ContainerPath::parse("/srv").unwrap();
    let read: Vec<_> = artifacts
        .iter()
        .map(|artifact| {
            let folder = artifact.folder(&working_dir).unwrap();
            format!("{} {folder}", artifact.source())
        })
        .collect();
    assert_eq!(
        read,
        ["/tmp/app.war /srv/x", "/opt/lib /srv", "/a b /srv/c/d"]
    );
}

#[test]
fn sources_are_absolute_and_destinations_stay_below() {
    for text in ["app.war", "/a:/b", "/a:../b", "/", "", "/a;", "/a*:b"] {
        let refusal = Artifact::parse_all(text).unwrap_err();
        assert_eq!(refusal.reason(), Reason::InvalidArtifactsMapping, "{text}");
    }
}
