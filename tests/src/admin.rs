//! Somebody who uses the dashboard, by its forms.

use reqwest::{Client, RequestBuilder, Response};

use crate::{Jeton, PageForm, eventually, forms_in, http};

pub const PASSWORD: &str = "correct horse battery staple";

/// A signed-in admin or viewer.
pub struct Admin {
    http: Client,
    url: String,
    /// The session cookie, `name=value`.
    pub session: String,
    /// The CSRF token of the session's forms.
    pub csrf: String,
}

/// `name=value` of the cookie whose name ends in `end`.
pub fn set_cookie(response: &Response, end: &str) -> Option<String> {
    response
        .headers()
        .get_all("set-cookie")
        .iter()
        .map(|value| {
            value
                .to_str()
                .unwrap()
                .split(';')
                .next()
                .unwrap()
                .to_owned()
        })
        .find(|pair| pair.split('=').next().unwrap().ends_with(end))
}

/// The CSRF token in a page.
pub fn csrf_in(page: &str) -> String {
    page.split("name=\"csrf\" value=\"")
        .nth(1)
        .expect("the page has a form")
        .split('"')
        .next()
        .unwrap()
        .to_owned()
}

/// The value of a hidden field in the page's form that sends to `action`, or of its first such field where no
/// form does.
pub fn hidden_field(page: &str, action: &str, name: &str) -> String {
    let form = page
        .split(&format!("action=\"{action}\""))
        .nth(1)
        .unwrap_or(page);
    let start = format!("name=\"{name}\" value=\"");
    let rest = form.split(&start).nth(1).expect("the field is there");
    rest.split('"').next().unwrap().to_owned()
}

/// The path of the link that the server printed for its first admin.
pub async fn first_admin_path(jeton: &Jeton) -> String {
    let link = || {
        let log = jeton.log();
        let (_, rest) = log.split_once("/dashboard/join/")?;
        // Not before all of it was written.
        let (code, _) = rest.split_once(char::is_whitespace)?;
        Some(format!("/dashboard/join/{code}"))
    };
    eventually("the server prints the first admin's link", async || {
        link().is_some()
    })
    .await;
    link().unwrap()
}

/// The page behind a link, open in a browser of its own.
pub struct JoinForm {
    url: String,
    /// The cookie that the form belongs to, `name=value`.
    cookie: String,
    csrf: String,
    /// What the page says.
    pub page: String,
}

impl JoinForm {
    /// Opens a link that works.
    pub async fn open(jeton: &Jeton, path: &str) -> Self {
        let url = format!("{}{path}", jeton.url);
        let answer = http().get(&url).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        let cookie = set_cookie(&answer, "jeton_form").unwrap();
        let page = answer.text().await.unwrap();
        Self {
            url,
            cookie,
            csrf: csrf_in(&page),
            page,
        }
    }

    /// Sends the form; one for a new password alone does not look at name and address.
    pub async fn send(&self, name: &str, email: &str, password: &str) -> Response {
        let form = [
            ("csrf", self.csrf.as_str()),
            ("name", name),
            ("email", email),
            ("password", password),
        ];
        let request = http().post(&self.url).header("cookie", &self.cookie);
        request.form(&form).send().await.unwrap()
    }
}

impl Admin {
    /// The first one, by the link that the server printed.
    pub async fn first(jeton: &Jeton) -> Self {
        let path = first_admin_path(jeton).await;
        Self::join(jeton, &path, "Ada", "ada@example.com").await
    }

    /// Whoever follows a link.
    pub async fn join(jeton: &Jeton, path: &str, name: &str, email: &str) -> Self {
        let answer = JoinForm::open(jeton, path)
            .await
            .send(name, email, PASSWORD)
            .await;
        assert_eq!(answer.status(), 303, "{:?}", answer.text().await);
        let session = set_cookie(&answer, "jeton_session").unwrap();
        Self::of_session(&jeton.url, session, "/dashboard").await
    }

    /// Whose session this is, by a page that they may see.
    pub async fn of_session(url: &str, session: String, page: &str) -> Self {
        let mut admin = Self {
            http: http(),
            url: url.to_owned(),
            session,
            csrf: String::new(),
        };
        admin.csrf = csrf_in(&admin.page(page).await);
        admin
    }

    /// A page, which has to be there.
    pub async fn page(&self, path: &str) -> String {
        let answer = self.get(path).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        answer.text().await.unwrap()
    }

    pub fn get(&self, path: &str) -> RequestBuilder {
        self.http
            .get(format!("{}{path}", self.url))
            .header("cookie", &self.session)
    }

    /// A form, as the dashboard's own pages send it.
    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Response {
        let mut fields = fields.to_vec();
        fields.push(("csrf", &self.csrf));
        self.post_raw(path, &fields).send().await.unwrap()
    }

    /// The form of a page that is sent to `action`.
    pub async fn form(&self, page: &str, action: &str) -> PageForm {
        let forms = forms_in(&self.page(page).await, page);
        let form = forms.iter().find(|form| form.action == action);
        form.unwrap_or_else(|| panic!("{page} has a form for {action}: {forms:?}"))
            .clone()
    }

    /// Opens a page and sends its form for `action` at once: with what it was made from, and with `fields`.
    pub async fn submit(&self, page: &str, action: &str, fields: &[(&str, &str)]) -> Response {
        let form = self.form(page, action).await;
        let all = [&form.seen()[..], fields].concat();
        self.post(action, &all).await
    }

    /// A form without a CSRF token but for one in `fields`.
    pub fn post_raw(&self, path: &str, fields: &[(&str, &str)]) -> RequestBuilder {
        self.http
            .post(format!("{}{path}", self.url))
            .header("cookie", &self.session)
            .form(fields)
    }
}
