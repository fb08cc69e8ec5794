//! The files of the scripts' layer.

use super::language::Language;

/// Where the scripts are in the image.
pub(super) const DIRECTORY: &str = "usr/libexec/s2i";

/// A script's name and content.
pub(super) type Script = (&'static str, &'static str);

macro_rules! scripts {
    ($language:literal $(, $more:literal)*) => {
        &[
            ("assemble", include_str!(concat!("../../images/", $language, "/assemble"))),
            ("run", include_str!(concat!("../../images/", $language, "/run"))),
            ("usage", include_str!(concat!("../../images/", $language, "/usage"))),
            ("save-artifacts", include_str!("../../images/save-artifacts")),
            ("lib.sh", include_str!("../../images/lib.sh")),
            $(($more, include_str!(concat!("../../images/", $language, "/", $more))),)*
        ]
    };
}

/// The scripts of a language, and what they load.
pub(super) const fn of(language: Language) -> &'static [Script] {
    match language {
        Language::Go => scripts!("go"),
        Language::Java => scripts!("java", "TrustStore.java", "reproducible.gradle"),
        Language::Nodejs => scripts!("nodejs", "follows-lock.js"),
        Language::Python => scripts!("python"),
    }
}

/// Whether a file of the folder is a program: the others are read by programs.
pub(super) fn is_program(name: &str) -> bool {
    !name.contains('.')
}
