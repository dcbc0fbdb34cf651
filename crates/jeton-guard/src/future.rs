//! The future of a guarded request: first whether it may pass, then the service's own answer.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use pin_project_lite::pin_project;
use tower::Service;

use crate::guard::Admission;
use crate::{Body, BoxError};

pin_project! {
    /// The future of [`Guard`](crate::Guard).
    pub struct ResponseFuture<S, F> {
        #[pin]
        state: State<S, F>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<S, F> {
        Admitting { inner: S, admission: Pin<Box<dyn Future<Output = Admission> + Send>> },
        Answering { #[pin] answer: F },
    }
}

impl<S, F> ResponseFuture<S, F> {
    pub(crate) fn new(
        inner: S,
        admission: impl Future<Output = Admission> + Send + 'static,
    ) -> Self {
        Self {
            state: State::Admitting {
                inner,
                admission: Box::pin(admission),
            },
        }
    }
}

impl<S, R> Future for ResponseFuture<S, S::Future>
where
    S: Service<Request<Body>, Response = Response<R>>,
    R: http_body::Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    type Output = Result<Response<Body>, S::Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let answer = match state.as_mut().project() {
                StateProjection::Admitting { inner, admission } => {
                    match ready!(admission.as_mut().poll(context)) {
                        Admission::Answer(response) => return Poll::Ready(Ok(*response)),
                        Admission::Pass(request) => inner.call(*request),
                    }
                }
                StateProjection::Answering { answer } => {
                    let response = ready!(answer.poll(context))?;
                    return Poll::Ready(Ok(
                        response.map(|body| body.map_err(Into::into).boxed_unsync())
                    ));
                }
            };
            state.set(State::Answering { answer });
        }
    }
}

impl<S, F> fmt::Debug for ResponseFuture<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseFuture")
    }
}
