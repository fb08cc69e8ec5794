use super::*;

const WANTED: [Script; 3] = [Script::Assemble, Script::Run, Script::SaveArtifacts];

/// The origins of assemble, run and save-artifacts as short texts.
fn find(
    requested: Option<&str>,
    fetched: &[Script],
    brought: &[&str],
    image: Option<&str>,
) -> (Result<[String; 3], Reason>, Vec<Warning>) {
    let requested = requested.map(|text| text.parse::<ScriptsUrl>().unwrap());
    let digest = Digest::of(oci::Algorithm::Sha256, b"script");
    let fetched = fetched.iter().map(|script| (*script, digest)).collect();
    let image = image.map(|text| ContainerPath::parse(text).unwrap());
    let mut source = SourceScripts::default();
    for path in brought {
        source.note(path, *path);
    }
    let mut warnings = Vec::new();
    let found = Scripts::find(
        &WANTED,
        requested.as_ref(),
        &fetched,
        &source,
        image.as_ref(),
        &mut warnings,
    );
    let short = |scripts: Scripts| {
        WANTED.map(|script| match scripts.get(script) {
            None => "-".to_owned(),
            Some(Origin::Image(path)) => path.to_string(),
            Some(Origin::Source(path)) => path.clone(),
            Some(Origin::Fetched(_)) => "fetched".to_owned(),
        })
    };
    (
        found.map(short).map_err(|refusal| refusal.reason()),
        warnings,
    )
}

#[test]
fn every_script_is_looked_up_on_its_own() {
    let image = Some("/usr/libexec/s2i");
    let (found, warnings) = find(None, &[], &[".s2i/bin/run", ".s2i/bin/other"], image);
    assert_eq!(
        found.unwrap(),
        [
            "/usr/libexec/s2i/assemble",
            ".s2i/bin/run",
            "/usr/libexec/s2i/save-artifacts"
        ]
    );
    assert_eq!(warnings, []);

    let (found, _) = find(
        Some("https://example.com/s/"),
        &[Script::Assemble],
        &[".s2i/bin/assemble", ".s2i/bin/run"],
        image,
    );
    assert_eq!(
        found.unwrap(),
        ["fetched", ".s2i/bin/run", "/usr/libexec/s2i/save-artifacts"]
    );
}

#[test]
fn an_image_url_in_the_request_overrides_the_source() {
    let brought = [".s2i/bin/assemble", ".s2i/bin/run"];
    let (found, _) = find(Some("image:///my"), &[], &brought, Some("/usr/libexec/s2i"));
    assert_eq!(
        found.unwrap(),
        ["/my/assemble", "/my/run", "/my/save-artifacts"]
    );
}

#[test]
fn the_old_folder_counts_after_the_new_one_and_is_warned_of() {
    let brought = [".sti/bin/assemble", ".sti/bin/run", ".s2i/bin/run"];
    let (found, warnings) = find(None, &[], &brought, None);
    assert_eq!(found.unwrap(), [".sti/bin/assemble", ".s2i/bin/run", "-"]);
    assert_eq!(warnings.len(), 1);
}

#[test]
fn a_web_url_that_gives_nothing_is_an_error() {
    let url: ScriptsUrl = "https://example.com/s".parse().unwrap();
    let digest = Digest::of(oci::Algorithm::Sha256, b"script");
    let check = |fetched: &[Script]| {
        let fetched = fetched.iter().map(|script| (*script, digest)).collect();
        Scripts::check_fetched(&WANTED, Some(&url), &fetched)
    };
    check(&[Script::Run]).unwrap();
    for fetched in [&[][..], &[Script::AssembleRuntime]] {
        let refusal = check(fetched).unwrap_err();
        assert_eq!(refusal.reason(), Reason::FetchScriptsFailed);
        let text = "https://example.com/s has none of the scripts assemble, run, save-artifacts";
        assert_eq!(refusal.to_string(), text);
    }
}

#[test]
fn a_script_that_is_nowhere_is_refused_by_name() {
    let scripts = Scripts::default();
    let refusal = scripts.require(Script::Assemble).unwrap_err();
    assert_eq!(refusal.reason(), Reason::InstallScriptsFailed);
    assert!(refusal.to_string().contains(".s2i/bin/assemble"));
}

#[test]
fn urls_that_are_none_are_refused() {
    for (text, error) in [
        ("file:///etc", InvalidScriptsUrl::File),
        ("/usr/libexec", InvalidScriptsUrl::Scheme),
        ("http://example.com/s", InvalidScriptsUrl::Scheme),
        (
            "image://usr/libexec",
            InvalidScriptsUrl::Path(InvalidPath::Relative),
        ),
        (
            "image:///a/../b",
            InvalidScriptsUrl::Path(InvalidPath::Parent),
        ),
        ("https://a b", InvalidScriptsUrl::Scheme),
        ("https://a\\@b/s", InvalidScriptsUrl::Scheme),
        // Some readers look for a server further on.
        (
            "https:///ann:hunter2@example.com/s",
            InvalidScriptsUrl::Scheme,
        ),
        ("https://token@example.com/s", InvalidScriptsUrl::Credential),
        (
            "https://ann:hunter2@example.com/s",
            InvalidScriptsUrl::Credential,
        ),
        (
            "https://example.com/s?token=hunter2",
            InvalidScriptsUrl::Credential,
        ),
        (
            "https://example.com?token=hunter2",
            InvalidScriptsUrl::Credential,
        ),
        (
            "https://example.com/s#hunter2",
            InvalidScriptsUrl::Credential,
        ),
    ] {
        assert_eq!(text.parse::<ScriptsUrl>(), Err(error), "{text}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}

#[test]
fn a_url_of_the_web_is_kept_as_it_is() {
    for text in [
        "https://example.com/s",
        "https://example.com:8443/@a/s",
        "https://[::1]/s",
    ] {
        let url: ScriptsUrl = text.parse().unwrap();
        assert_eq!(url, ScriptsUrl::Web(text.to_owned()));
    }
}
