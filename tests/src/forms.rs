//! The forms of a page.

/// A form that is posted.
#[derive(Debug, Clone)]
pub struct PageForm {
    /// Where it is sent.
    pub action: String,
    /// Its hidden fields, without the CSRF token.
    pub hidden: Vec<(String, String)>,
}

/// Hidden fields that say what a form was made from.
const SEEN: [&str; 4] = ["version", "seen", "retired_at", "was"];

impl PageForm {
    /// The fields that say what it was made from.
    pub fn seen(&self) -> Vec<(&str, &str)> {
        let hidden = self.hidden.iter();
        hidden
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .filter(|(name, _)| SEEN.contains(name))
            .collect()
    }
}

/// The forms of a page at `path` that are posted.
pub fn forms_in(page: &str, path: &str) -> Vec<PageForm> {
    let own = path.split('?').next().unwrap();
    let forms = page.split("<form ").skip(1);
    forms
        .map(|form| form.split("</form>").next().unwrap())
        .filter_map(|form| {
            let (tag, _) = form.split_once('>').unwrap();
            (attribute(tag, "method") == Some("post")).then(|| PageForm {
                action: attribute(tag, "action").unwrap_or(own).to_owned(),
                hidden: hidden_fields(form),
            })
        })
        .collect()
}

fn hidden_fields(form: &str) -> Vec<(String, String)> {
    let inputs = form.split("<input ").skip(1);
    inputs
        .filter_map(|input| input.split('>').next())
        .filter(|tag| attribute(tag, "type") == Some("hidden"))
        .filter_map(|tag| Some((attribute(tag, "name")?, attribute(tag, "value")?)))
        .filter(|(name, _)| *name != "csrf")
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let start = format!("{name}=\"");
    let spaced = format!(" {start}");
    let rest = tag
        .strip_prefix(&start)
        .or_else(|| tag.split_once(&spaced).map(|(_, rest)| rest))?;
    rest.split('"').next()
}
