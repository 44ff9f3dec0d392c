//! Requests to a bucket of S3 that the library does not know, signed here.

use std::time::Duration;

use http_body_util::BodyExt as _;
use object_store::aws::{AwsAuthorizer, AwsCredentialProvider};
use object_store::client::{HttpClient, HttpRequest, HttpRequestBody};

/// A bucket of S3.
pub(in crate::place) struct Signed {
    pub(super) client: HttpClient,
    pub(super) credentials: AwsCredentialProvider,
    pub(super) region: String,
    /// The URL of the bucket, without a slash at its end.
    pub(super) bucket: String,
    pub(super) requester_pays: bool,
    /// Before a failed request is sent again.
    pub(super) pause: Duration,
}

impl Signed {
    /// Sends a request without a body; `path` is below the bucket and encoded, empty or begins with its
    /// first letter, `query` is such as `versioning=`. Tries again what failed for a while. Returns status
    /// and body, which is not for messages. `None` if there is no answer.
    pub(in crate::place) async fn send(
        &self,
        method: &'static str,
        path: &str,
        query: &str,
    ) -> Option<(u16, String)> {
        const TRIES: u32 = 5;
        let mut tries = 0;
        loop {
            let answer = self.send_once(method, path, query).await;
            tries += 1;
            let is_over =
                answer.as_ref().is_some_and(|(status, _)| !matches!(status, 429 | 500 | 502..=504));
            if is_over || tries == TRIES {
                return answer;
            }
            tokio::time::sleep(self.pause * 3_u32.pow(tries - 1)).await;
        }
    }

    async fn send_once(
        &self,
        method: &'static str,
        path: &str,
        query: &str,
    ) -> Option<(u16, String)> {
        let credential = self.credentials.get_credential().await.ok()?;
        let mut request = HttpRequest::new(HttpRequestBody::empty());
        let slash = if path.is_empty() { "" } else { "/" };
        *request.method_mut() = method.parse().ok()?;
        *request.uri_mut() = format!("{}{slash}{path}?{query}", self.bucket).parse().ok()?;
        AwsAuthorizer::new(&credential, "s3", &self.region)
            .with_request_payer(self.requester_pays)
            .authorize(&mut request, None);
        let answer = self.client.execute(request).await.ok()?;
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.ok()?.to_bytes();
        Some((status, String::from_utf8_lossy(&body).into_owned()))
    }
}
