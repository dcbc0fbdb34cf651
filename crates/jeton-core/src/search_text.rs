//! Text as a search compares it, alike on every database.

use unicode_normalization::UnicodeNormalization as _;

/// `text` without differences of case and of compatibility forms: `Équipe`, `ÉQUIPE`, and either with a combining
/// accent, are one text. Accents count: `equipe` is another.
///
/// It is NFKC (UAX #15) with each character in upper and then in lower case, so that `ß` is `ss` and a final `ς` is
/// `σ`, whatever the language.
pub fn search_text(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    text.nfkc()
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .nfkc()
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn case_and_compatibility_forms_do_not_matter_and_accents_do() {
        for (text, other) in [
            ("Équipe", "équipe"),
            ("ÉQUIPE", "e\u{301}quipe"),
            ("Straße", "STRASSE"),
            ("ΟΔΥΣΣΕΥΣ", "οδυσσευς"),
            ("КОМАНДА", "команда"),
            ("ＡＢＣ", "abc"),
            ("ﬁle", "FILE"),
            ("\u{212a}elvin", "kelvin"),
            ("", ""),
        ] {
            assert_eq!(search_text(text), search_text(other), "{text}");
        }
        assert_ne!(search_text("Équipe"), search_text("equipe"));
    }

    proptest! {
        #[test]
        fn the_case_of_a_text_does_not_matter(text in "[a-zéàüßñøçœßωσςжщ ]{0,40}") {
            prop_assert_eq!(search_text(&text.to_uppercase()), search_text(&text));
        }

        #[test]
        fn ascii_is_only_lowered(text in "[ -~]{0,40}") {
            prop_assert_eq!(search_text(&text), text.to_lowercase());
        }

        #[test]
        fn a_folded_text_stays_as_it_is(text in "\\PC{0,40}") {
            let folded = search_text(&text);
            prop_assert_eq!(search_text(&folded), folded);
        }
    }
}
