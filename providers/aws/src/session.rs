//! The login and the clients of one runtime, made on first use.

use std::collections::VecDeque;
use std::error::Error as StdError;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_iam::config::Builder as IamBuilder;
use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_async::time::TimeSource;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use credchain_core::{Clock, Context, Error, Kind, Name, Result};
use futures_util::future::BoxFuture;
use tokio::runtime::{Handle, Id};
use tokio::sync::OnceCell;

use crate::answer::failed;
use crate::config::{Keys, Role, Settings};
use crate::endpoint::{iam_endpoint, service_endpoint, sts_endpoint};
use crate::error::{Failed, Failure};
use crate::http;

/// How many runtimes are served at a time; a program with more makes clients anew.
const MAX_RUNTIMES: usize = 8;

/// Bounds of a single request, for callers without a deadline.
const CONNECT: Duration = Duration::from_secs(5);
const ATTEMPT: Duration = Duration::from_secs(30);

/// The clients of one runtime. They share one login.
pub(crate) struct Session {
    pub(crate) secrets: aws_sdk_secretsmanager::Client,
    pub(crate) parameters: aws_sdk_ssm::Client,
    pub(crate) sts: aws_sdk_sts::Client,
    pub(crate) region: String,
    /// The login, without any endpoint of our own.
    login: SdkConfig,
}

impl Session {
    /// A client for IAM, which few ask for.
    pub(crate) fn iam(&self, settings: &Settings, cx: &Context) -> Result<aws_sdk_iam::Client> {
        let mut config = IamBuilder::from(&self.login);
        if let Some(endpoint) = iam_endpoint(settings, cx)? {
            // IAM is of no region; what signs for it is the first one of its partition.
            let global = match &self.region {
                region if region.starts_with("cn-") => "cn-north-1",
                region if region.starts_with("us-gov-") => "us-gov-west-1",
                _ => "us-east-1",
            };
            config = config.endpoint_url(endpoint).region(Region::new(global));
        }
        Ok(aws_sdk_iam::Client::from_conf(config.build()))
    }

    /// A client for STS that signs with this key and knows no other.
    pub(crate) fn sts_as(&self, id: &str, secret: &str) -> aws_sdk_sts::Client {
        let key = Credentials::new(id, secret, None, None, "trial");
        let config = self.sts.config().to_builder().credentials_provider(key);
        aws_sdk_sts::Client::from_conf(config.build())
    }
}

/// The sessions of all runtimes.
///
/// Connections are served by tasks of the runtime that they were opened on, so a client that was
/// used on a runtime that has ended would wait for an answer that nobody reads.
#[derive(Default)]
pub(crate) struct Sessions(Mutex<VecDeque<(Id, Shared)>>);

/// The session of a runtime, opened by whoever needs it first.
type Shared = Arc<OnceCell<Arc<Session>>>;

/// A session with what a question needs.
#[derive(Clone, Copy)]
pub(crate) struct Ask<'a> {
    pub(crate) session: &'a Session,
    pub(crate) settings: &'a Settings,
    pub(crate) cx: &'a Context,
}

impl Sessions {
    /// The session of this runtime, logged in on first use.
    pub(crate) async fn current(&self, settings: &Settings, cx: &Context) -> Result<Arc<Session>> {
        let cell = self.cell();
        let opened =
            cell.get_or_try_init(async || Box::pin(open(settings, cx)).await.map(Arc::new));
        match within(cx, opened).await {
            Some(session) => session.cloned(),
            None => Err(Error::new(
                Kind::Unavailable,
                "logging in to AWS took too long",
            )),
        }
    }

    /// Logs in anew next time: what was in use is not accepted any more.
    pub(crate) fn forget(&self) {
        self.lock().clear();
    }

    fn cell(&self) -> Shared {
        let id = Handle::current().id();
        let mut cells = self.lock();
        if let Some((_, cell)) = cells.iter().find(|(owner, _)| *owner == id) {
            return cell.clone();
        }
        if cells.len() == MAX_RUNTIMES {
            cells.pop_front();
        }
        let cell = Shared::default();
        cells.push_back((id, cell.clone()));
        cell
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<(Id, Shared)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sessions")
    }
}

/// Makes a call and reports its failure in our words. On the heap: the SDK's futures are large.
pub(crate) fn call<'a, T, E>(
    cx: &'a Context,
    action: &'static str,
    request: impl Future<Output = Result<T, SdkError<E>>> + Send + 'a,
) -> BoxFuture<'a, Result<T, Failed>>
where
    T: 'a,
    E: ProvideErrorMetadata + StdError + 'static,
{
    Box::pin(async move {
        match within(cx, request).await {
            Some(answer) => answer.map_err(|error| failed(action, &error, cx.clock())),
            None => Err(Failed::new(action, Failure::Late)),
        }
    })
}

/// Runs `work` for as long as the caller allows.
async fn within<T>(cx: &Context, work: impl Future<Output = T> + Send) -> Option<T> {
    match cx.remaining() {
        Some(Duration::ZERO) => None,
        Some(left) => cx.clock().timeout(left, work).await,
        None => Some(work.await),
    }
}

async fn open(settings: &Settings, cx: &Context) -> Result<Session> {
    let http = http::client(settings.ca.as_ref()).await?;
    let mut config = load(settings, http, cx).await?;
    let Some(region) = config.region().map(ToString::to_string) else {
        return Err(
            Error::new(Kind::Misconfigured, "no AWS region is set").with_hint(
                "set `region = \"…\"` for this provider, or AWS_REGION, or `region` in `~/.aws/config`",
            ),
        );
    };
    check_region(&region)?;
    let own_endpoint = service_endpoint(settings, cx)?;
    if own_endpoint.is_some() && config.use_fips() == Some(true) {
        return Err(
            Error::new(Kind::Misconfigured, "FIPS is for AWS's own endpoints only")
                .with_hint("unset `fips` and AWS_USE_FIPS_ENDPOINT, or AWS_ENDPOINT_URL"),
        );
    }
    let sts = with_endpoint(config.clone(), sts_endpoint(settings, cx)?);
    if let Some(role) = &settings.role {
        let provider = assume(role, &sts).await;
        config = config.into_builder().credentials_provider(provider).build();
    }
    let sts = with_credentials_of(sts, &config);
    let service = with_endpoint(config.clone(), own_endpoint);
    Ok(Session {
        secrets: aws_sdk_secretsmanager::Client::new(&service),
        parameters: aws_sdk_ssm::Client::new(&service),
        sts: aws_sdk_sts::Client::new(&sts),
        region,
        login: config,
    })
}

/// A region is a part of a host's name. The SDK tells a wrong one like a broken connection.
fn check_region(region: &str) -> Result<()> {
    let part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if region.is_empty() || region.len() > 63 || !region.chars().all(part) {
        return Err(Error::new(Kind::Misconfigured, "the AWS region is none")
            .with_hint("a region looks like `eu-central-1`; see setting `region` and AWS_REGION"));
    }
    Ok(())
}

/// What the SDK would find, with what the settings and the handed-in environment say in its place.
async fn load(settings: &Settings, http: SharedHttpClient, cx: &Context) -> Result<SdkConfig> {
    let time = Time(cx.clock().clone());
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT)
        .operation_attempt_timeout(ATTEMPT)
        .build();
    let mut loader: ConfigLoader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http.clone())
        .time_source(time.clone())
        .timeout_config(timeouts)
        // A layer around every provider retries, within one budget; twice would be too often.
        .retry_config(RetryConfig::disabled())
        .stalled_stream_protection(StalledStreamProtectionConfig::enabled().build());
    let env = |name: &str| cx.env().text(name);
    let region = settings.region.clone();
    let region = region.or_else(|| env("AWS_REGION").or_else(|| env("AWS_DEFAULT_REGION")));
    if let Some(region) = &region {
        loader = loader.region(Region::new(region.clone()));
    }
    if settings.fips {
        loader = loader.use_fips(true);
    }
    if let Some(keys) = &settings.keys {
        loader = loader.credentials_provider(static_keys(keys, settings, cx).await?);
    } else if let Some(profile) = &settings.profile {
        // Asked for by name, so that keys in the environment do not win over it.
        let base = ProviderConfig::default()
            .with_http_client(http)
            .with_time_source(time)
            .with_region(region.map(Region::new));
        let provider = ProfileFileCredentialsProvider::builder()
            .configure(&base)
            .profile_name(profile)
            .build();
        loader = loader.credentials_provider(provider).profile_name(profile);
    } else if let Some(keys) = keys_of_environment(&env) {
        loader = loader.credentials_provider(keys);
    } else if let Some(profile) = env("AWS_PROFILE") {
        loader = loader.profile_name(profile);
    }
    Ok(loader.load().await)
}

async fn static_keys(keys: &Keys, settings: &Settings, cx: &Context) -> Result<Credentials> {
    let read = async |name: &Name| -> Result<String> {
        let secret = settings.source.needed(name, cx).await?;
        let text = secret.expose_text().map(str::to_owned);
        text.ok_or_else(|| {
            Error::new(Kind::Invalid, "an AWS access key has to be text").for_credential(name)
        })
    };
    let token = match &keys.token {
        Some(name) => Some(read(name).await?),
        None => None,
    };
    let (id, secret) = (read(&keys.id).await?, read(&keys.secret).await?);
    Ok(Credentials::new(id, secret, token, None, "settings"))
}

fn keys_of_environment(env: &impl Fn(&str) -> Option<String>) -> Option<Credentials> {
    let (id, secret) = (env("AWS_ACCESS_KEY_ID")?, env("AWS_SECRET_ACCESS_KEY")?);
    let token = env("AWS_SESSION_TOKEN");
    Some(Credentials::new(id, secret, token, None, "environment"))
}

async fn assume(role: &Role, sts: &SdkConfig) -> SharedCredentialsProvider {
    let mut builder = AssumeRoleProvider::builder(&role.arn)
        .configure(sts)
        .session_name(&role.session_name);
    if let Some(id) = &role.external_id {
        builder = builder.external_id(id);
    }
    SharedCredentialsProvider::new(builder.build().await)
}

fn with_endpoint(config: SdkConfig, endpoint: Option<String>) -> SdkConfig {
    match endpoint {
        Some(endpoint) => config.into_builder().endpoint_url(endpoint).build(),
        None => config,
    }
}

fn with_credentials_of(sts: SdkConfig, config: &SdkConfig) -> SdkConfig {
    let mut builder = sts.into_builder();
    builder.set_credentials_provider(config.credentials_provider());
    builder.build()
}

/// The handed-in clock, for the SDK: it signs requests with the time.
#[derive(Clone, Debug)]
struct Time(Clock);

impl TimeSource for Time {
    fn now(&self) -> SystemTime {
        self.0.now()
    }
}
