//! The service that the layer makes.

use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use tower::Service;

use crate::future::ResponseFuture;
use crate::guard::Rules;
use crate::{Body, BoxError};

/// A protected service; made by [`GuardLayer`](crate::GuardLayer).
#[derive(Debug, Clone)]
pub struct Guard<S> {
    pub(crate) inner: S,
    pub(crate) rules: Arc<Rules>,
}

impl<S, B, R> Service<Request<B>> for Guard<S>
where
    S: Service<Request<Body>, Response = Response<R>> + Clone,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
    R: http_body::Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = ResponseFuture<S, S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The one that was polled ready is the one to call.
        let clone = self.inner.clone();
        let inner = mem::replace(&mut self.inner, clone);
        let rules = Arc::clone(&self.rules);
        let request = request.map(|body| body.map_err(Into::into).boxed_unsync());
        ResponseFuture::new(inner, async move { rules.admit(request).await })
    }
}
