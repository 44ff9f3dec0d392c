//! Requests to a bucket of S3 that the library does not know, signed here.

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
}

impl Signed {
    /// Asks the bucket; `query` is such as `versioning=`. Returns status and body, which is not for
    /// messages. `None` if the request cannot be sent.
    pub(in crate::place) async fn get(&self, query: &str) -> Option<(u16, String)> {
        let credential = self.credentials.get_credential().await.ok()?;
        let mut request = HttpRequest::new(HttpRequestBody::empty());
        *request.uri_mut() = format!("{}?{query}", self.bucket).parse().ok()?;
        AwsAuthorizer::new(&credential, "s3", &self.region).authorize(&mut request, None);
        let answer = self.client.execute(request).await.ok()?;
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.ok()?.to_bytes();
        Some((status, String::from_utf8_lossy(&body).into_owned()))
    }
}
