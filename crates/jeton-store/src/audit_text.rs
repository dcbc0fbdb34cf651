//! The texts of an audit event that people search. The databases disagree on upper and lower case beyond ASCII, and
//! no column is kept for it, which each token would pay for: SQL finds the events that may hold a text, and
//! whoever reads them compares.

/// Everything of an event that is searched, as one text.
pub(crate) const SEARCHED: &str = "id || ' ' || kind || ' ' || actor || ' ' || COALESCE(reason, '') \
    || ' ' || COALESCE(client_id, '') || ' ' || COALESCE(mcp_server_id, '') || ' ' \
    || COALESCE(secret_id, '') || ' ' || COALESCE(scope, '') || ' ' || COALESCE(resource, '') \
    || ' ' || COALESCE(jti, '') || ' ' || COALESCE(source, '') || ' ' \
    || COALESCE(request_id, '') || ' ' || detail";

/// Whether it is not ASCII as a whole: IDs, kinds, scopes and addresses always are.
const IS_BEYOND_ASCII: &str = "(OCTET_LENGTH(detail) <> LENGTH(detail) \
    OR OCTET_LENGTH(reason) <> LENGTH(reason) OR OCTET_LENGTH(resource) <> LENGTH(resource))";

/// The condition that an event may hold `folded`. Where that is ASCII, placeholder `number` is the pattern of it.
pub(crate) fn may_hold(folded: &str, number: usize) -> String {
    // Folding ASCII gives ASCII, so an event of ASCII holds nothing else.
    if folded.is_ascii() {
        let searched = SEARCHED;
        format!("(LOWER({searched}) LIKE ${number} ESCAPE '\\' OR {IS_BEYOND_ASCII})")
    } else {
        IS_BEYOND_ASCII.to_owned()
    }
}
