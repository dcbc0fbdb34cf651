//! Forms, scopes, headers, URLs, and texts that are looked through for secrets.

use std::hint::black_box;

use jeton_core::{
    Challenge, Form, PresentedSecret, ResourceUri, Scope, ScopeSet, TokenRequest, looks_secret,
    redact,
};
use jeton_jose::{UnverifiedNote, UnverifiedToken, metadata_urls};

use super::{Table, repeated};

pub(super) async fn measure(table: &mut Table) {
    forms(table).await;
    scopes(table).await;
    values(table).await;
    challenges(table).await;
    headers(table).await;
    signed_texts(table).await;
    for (name, part) in [
        ("text to redact: one long secret of marks", "eyJ"),
        ("text to redact: marks without a secret", "eyJ "),
        ("text to redact: many secrets", "eyJ012345678901234567 "),
    ] {
        let read = async |text: &String| {
            black_box(looks_secret(text));
            black_box(redact(text));
        };
        table.row(name, |size| repeated(part, size), read).await;
    }
}

async fn forms(table: &mut Table) {
    for (name, part) in [
        ("form: many parameters", "a#=b&"),
        ("form: many separators", "&"),
        ("form: one escaped value", "%61"),
        ("form: one long name", "a"),
    ] {
        let read = async |body: &String| {
            drop(black_box(Form::parse(body.as_bytes())));
        };
        table.row(name, |size| repeated(part, size), read).await;
    }
    table
        .row(
            "token request: many scopes",
            |size| {
                format!(
                    "grant_type=client_credentials&scope={}",
                    repeated("s#+", size)
                )
            },
            async |body| {
                let form = Form::parse(body.as_bytes());
                drop(black_box(
                    form.map(|form| TokenRequest::from_form(&form).is_err()),
                ));
            },
        )
        .await;
}

async fn scopes(table: &mut Table) {
    // 10,000 of them, and more than that.
    table
        .row_up_to(
            ("list of scopes, all different", 89_990),
            |size| repeated("s# ", size).trim_end().to_owned(),
            async |text| drop(black_box(text.parse::<ScopeSet>())),
        )
        .await;
    table
        .row(
            "list of scopes above its limit",
            |size| repeated("s# ", size).trim_end().to_owned(),
            async |text| drop(black_box(text.parse::<ScopeSet>())),
        )
        .await;
    table
        .row_up_to(
            ("two lists of scopes, compared", 2 * 89_990),
            |size| {
                let set: ScopeSet = repeated("s# ", size / 2)
                    .trim_end()
                    .parse()
                    .unwrap_or_default();
                let mut other: Vec<Scope> = set.iter().cloned().collect();
                other.reverse();
                (set, other.into_iter().collect::<ScopeSet>())
            },
            async |(one, other)| {
                black_box(one.is_subset_of(other));
                black_box(one.intersection(other));
                black_box(one.union(other));
            },
        )
        .await;
    table
        .row(
            "one scope",
            |size| repeated("s", size),
            async |text| drop(black_box(text.parse::<Scope>())),
        )
        .await;
}

async fn values(table: &mut Table) {
    table
        .row(
            "resource",
            |size| repeated("/a", size).replacen("/a", "https://a.example", 1),
            async |text| drop(black_box(text.parse::<ResourceUri>())),
        )
        .await;
}

async fn challenges(table: &mut Table) {
    for (name, begin, part, end) in [
        ("WWW-Authenticate: words and tabs", "", "a\t", "=x"),
        (
            "WWW-Authenticate: many schemes",
            "",
            "Basic, ",
            "Bearer a=b",
        ),
        (
            "WWW-Authenticate: many parameters",
            "Bearer ",
            "a=\"b\",",
            "c=d",
        ),
        (
            "WWW-Authenticate: one escaped text",
            "Bearer error=\"",
            "\\\"",
            "\"",
        ),
        (
            "WWW-Authenticate: many scopes",
            "Bearer scope=\"",
            "s# ",
            "s\"",
        ),
    ] {
        table
            .row(
                name,
                |size| format!("{begin}{}{end}", repeated(part, size)),
                async |text| drop(black_box(Challenge::parse(text))),
            )
            .await;
    }
}

async fn headers(table: &mut Table) {
    for (name, begin, part) in [
        ("Authorization: Basic", "Basic ", "YTph"),
        ("Authorization: scheme without an end", "", "a"),
    ] {
        table
            .row(
                name,
                |size| format!("{begin}{}", repeated(part, size)),
                async |text| {
                    let form = Form::parse(b"");
                    let found = form
                        .map(|form| PresentedSecret::find(Some(text.as_bytes()), &form).is_ok());
                    drop(black_box(found));
                },
            )
            .await;
    }
    for (name, part) in [("JWT: many dots", "."), ("JWT: one long part", "eyJh")] {
        let read = async |text: &String| {
            black_box(UnverifiedToken::parse(text).is_ok());
        };
        let build = |size| repeated(part, size);
        table.row_up_to((name, 16 << 10), build, read).await;
        let above = format!("{name}, above its limit");
        table.row(&above, build, read).await;
    }
}

async fn signed_texts(table: &mut Table) {
    for (name, part) in [
        ("note: many lines", "a\n"),
        ("note: many signatures", "\n\n\u{2014} a AAAAAAAA"),
    ] {
        let read = async |text: &String| {
            black_box(UnverifiedNote::parse(text).is_ok());
        };
        let build = |size| repeated(part, size);
        table.row_up_to((name, 64 << 10), build, read).await;
        let above = format!("{name}, above its limit");
        table.row(&above, build, read).await;
    }
    let read = async |text: &String| drop(black_box(metadata_urls(text)));
    let build = |size| repeated("/a", size).replacen("/a", "https://a.example", 1);
    table
        .row("the metadata's URLs of an issuer", build, read)
        .await;
}
