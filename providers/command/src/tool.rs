//! The provider that runs a tool once for each value.

use std::collections::HashMap;
use std::ffi::OsString;

use credchain_core::{
    Capabilities, Context, Error, Expect, Kind, Listed, Naming, Provider, Reference, Result,
    Secret, SetOptions, Version, async_trait,
};
use futures_util::StreamExt as _;
use futures_util::stream;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::config::{Common, ToolSettings};
use crate::output::{Document, listed};
use crate::plugin::cannot_start;
use crate::recipe::{Call, Stdin};
use crate::rules::verdict;
use crate::run::run;
use crate::template::{fill, mentions};

/// A tool that is run anew for each request.
pub(crate) struct Tool {
    common: Common,
    settings: ToolSettings,
    permits: Semaphore,
}

impl Tool {
    pub(crate) fn new(common: Common, settings: ToolSettings) -> Self {
        let permits = Semaphore::new(settings.concurrency);
        Self {
            common,
            settings,
            permits,
        }
    }

    /// Runs one call and judges it; the output if it succeeded.
    async fn call(
        &self,
        call: &Call,
        reference: Option<&Reference>,
        stdin: Zeroizing<Vec<u8>>,
        cx: &Context,
    ) -> Result<Zeroizing<Vec<u8>>> {
        if let Some(reference) = reference.filter(|_| self.settings.recipe.tidy_paths) {
            tidy(reference)?;
        }
        let filled = fill(&call.args, reference, &self.common.project)?;
        let args = self
            .settings
            .args
            .iter()
            .cloned()
            .chain(filled)
            .map(OsString::from)
            .collect();
        let mut launch = self.common.launch(args, cx).await?;
        launch.stdin = call.stdin != Stdin::Nothing;
        let most = self.settings.request_timeout;
        let patience = cx.remaining().map_or(most, |left| left.min(most));
        let work = async {
            let _permit = self.permits.acquire().await;
            run(&launch, stdin, self.settings.max_response).await
        };
        let late = || {
            let message = format!("`{}` did not finish in time", self.common.program);
            Error::new(Kind::Unavailable, message)
        };
        let finished = cx
            .clock()
            .timeout(patience, work)
            .await
            .ok_or_else(late)?
            .map_err(|error| cannot_start(&self.common.program, error))?;
        tracing::debug!(bytes = finished.stderr.len(), "the command wrote to stderr");
        let Some(stdout) = finished.stdout else {
            let message = "the command wrote more than `max_response`";
            return Err(Error::new(Kind::Invalid, message));
        };
        let rules = call.rules.iter().chain(&self.settings.recipe.rules);
        match verdict(rules, finished.exit, &stdout, &finished.stderr) {
            Ok(()) => Ok(stdout),
            Err(kind) => Err(self.failure(kind, finished.exit)),
        }
    }

    fn failure(&self, kind: Kind, exit: Option<i32>) -> Error {
        let program = &self.common.program;
        match (kind, exit) {
            (Kind::NotFound, _) => Error::not_found(),
            (_, Some(code)) => {
                Error::new(kind, format!("`{program}` failed with exit code {code}")).with_hint(
                    "run it by hand to see its own message, which is never repeated here",
                )
            }
            (_, None) => Error::new(kind, format!("`{program}` was ended by a signal")),
        }
    }

    /// Runs `get` for one document.
    async fn read(&self, reference: &Reference, cx: &Context) -> Result<Document<'_>> {
        let call = &self.settings.recipe.get;
        if call.only_listed {
            let whole = reference.clone().without_field();
            if !self
                .list(None, cx)
                .await?
                .iter()
                .any(|listed| listed.reference == whole)
            {
                return Err(Error::not_found());
            }
        }
        let stdin = input(call.stdin, reference, None, &SetOptions::default())?;
        let output = self.call(call, Some(reference), stdin, cx).await?;
        Document::parse(call, output)
    }

    /// Whether the tool itself picks the field, so that each field is a document of its own.
    fn sends_field(&self) -> bool {
        mentions(&self.settings.recipe.get.args, "{field}")
    }

    /// What one run of `get` answers: the reference without a field that is picked here.
    fn document(&self, reference: &Reference) -> Result<Reference> {
        let get = &self.settings.recipe.get;
        if reference.version().is_some() && !mentions(&get.args, "{version}") {
            return Err(Error::new(
                Kind::Unsupported,
                "this command keeps no versions",
            ));
        }
        if self.sends_field() {
            return Ok(reference.clone());
        }
        if reference.field().is_some() && !get.output.has_fields() {
            return Err(Error::new(
                Kind::Unsupported,
                "the values of this command have no fields",
            )
            .with_hint("say with `output` how fields are found, or use `{field}` in `get`"));
        }
        Ok(reference.clone().without_field())
    }

    /// Reads back what was written, for tools that say nothing when they drop or change it.
    async fn confirm(&self, reference: &Reference, value: &Secret, cx: &Context) -> Result<()> {
        let program = &self.common.program;
        match self.get(reference, cx).await {
            Ok(kept) if kept.same_value(value) => Ok(()),
            Ok(_) => {
                let message = format!("`{program}` kept another value than it was given");
                Err(Error::new(Kind::Invalid, message)
                    .with_hint("some tools drop newlines or white space at the end of a value"))
            }
            Err(error) if error.kind().is_miss() => {
                let message = format!("`{program}` did not keep the value");
                Err(Error::new(Kind::Unsupported, message)
                    .with_hint("it accepts values although nothing is set up to store them"))
            }
            Err(error) => Err(error),
        }
    }
}

#[async_trait]
impl Provider for Tool {
    fn capabilities(&self) -> Capabilities {
        self.settings.capabilities()
    }

    async fn get(&self, reference: &Reference, cx: &Context) -> Result<Secret> {
        let document = self.document(reference)?;
        self.read(&document, cx)
            .await?
            .secret(reference, self.sends_field())
    }

    async fn get_many(&self, references: &[Reference], cx: &Context) -> Vec<Result<Secret>> {
        let documents: Vec<_> = references.iter().map(|r| self.document(r)).collect();
        let mut wanted: HashMap<&Reference, usize> = HashMap::new();
        let mut runs = Vec::new();
        for document in documents.iter().flatten() {
            wanted.entry(document).or_insert_with(|| {
                runs.push(self.read(document, cx));
                runs.len() - 1
            });
        }
        let read: Vec<_> = stream::iter(runs)
            .buffered(self.settings.concurrency)
            .collect()
            .await;
        let answer = |(reference, document): (&Reference, &Result<Reference>)| {
            let document = document.as_ref().map_err(Error::clone)?;
            match wanted.get(document).and_then(|at| read.get(*at)) {
                Some(Ok(found)) => found.secret(reference, self.sends_field()),
                Some(Err(error)) => Err(error.clone()),
                None => Err(Error::new(Kind::Internal, "a command's answer was lost")),
            }
        };
        references.iter().zip(&documents).map(answer).collect()
    }

    async fn set(
        &self,
        reference: &Reference,
        value: &Secret,
        options: &SetOptions,
        cx: &Context,
    ) -> Result<Version> {
        let call = offered(self.settings.recipe.set.as_ref(), "writing")?;
        whole(reference, call)?;
        if options.expect != Expect::Any {
            return Err(Error::unsupported("writing on a condition"));
        }
        if self.settings.recipe.text_only && value.expose_text().is_none() {
            return Err(Error::new(Kind::Invalid, "this command stores text only"));
        }
        let stdin = input(call.stdin, reference, Some(value), options)?;
        self.call(call, Some(reference), stdin, cx).await?;
        if call.read_back {
            self.confirm(reference, value, cx).await?;
        }
        // Tools of this kind do not number their values.
        Version::new("current")
    }

    async fn delete(&self, reference: &Reference, cx: &Context) -> Result<()> {
        let call = offered(self.settings.recipe.delete.as_ref(), "deleting")?;
        whole(reference, call)?;
        if call.look_first {
            self.get(reference, cx).await?;
        }
        let stdin = input(call.stdin, reference, None, &SetOptions::default())?;
        self.call(call, Some(reference), stdin, cx).await.map(drop)
    }

    async fn list(&self, prefix: Option<&str>, cx: &Context) -> Result<Vec<Listed>> {
        let call = offered(self.settings.recipe.list.as_ref(), "listing")?;
        let output = self.call(call, None, Zeroizing::default(), cx).await?;
        listed(call, &output, prefix)
    }

    fn locate(&self, naming: &Naming) -> Vec<Reference> {
        self.common.locate(naming)
    }
}

impl std::fmt::Debug for Tool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tool")
            .field("link", &self.common.link)
            .finish_non_exhaustive()
    }
}

fn offered<'a>(call: Option<&'a Call>, what: &'static str) -> Result<&'a Call> {
    call.ok_or_else(|| Error::unsupported(what))
}

/// A field is part of a value, and a version is history: neither can be written or removed.
fn whole(reference: &Reference, call: &Call) -> Result<()> {
    let field = reference.field().is_some() && !mentions(&call.args, "{field}");
    if field || reference.version().is_some() {
        return Err(
            Error::new(Kind::Unsupported, "this command changes whole values only")
                .with_hint("use a reference without `#FIELD` and `?version=`"),
        );
    }
    Ok(())
}

/// One place has one name; a leading `/` is only another way to start at the top.
fn tidy(reference: &Reference) -> Result<()> {
    let path = reference
        .path()
        .strip_prefix('/')
        .unwrap_or(reference.path());
    if path
        .split('/')
        .any(|segment| segment.is_empty() || segment == ".")
    {
        return Err(Error::new(
            Kind::Invalid,
            "a path here has no empty and no `.` segments",
        ));
    }
    Ok(())
}

/// What the tool gets on stdin.
fn input(
    form: Stdin,
    reference: &Reference,
    value: Option<&Secret>,
    options: &SetOptions,
) -> Result<Zeroizing<Vec<u8>>> {
    let value = value.map(Secret::expose).unwrap_or_default();
    let path = reference.path();
    let parts: Vec<&[u8]> = match form {
        Stdin::Nothing => vec![],
        Stdin::Value => vec![value],
        Stdin::ValueAndNewline => vec![value, b"\n"],
        Stdin::Path => vec![path.as_bytes(), b"\n"],
        // A reference holds no control character, so a path cannot add lines of its own.
        Stdin::GitUrl => vec![b"url=", path.as_bytes(), b"\n\n"],
        Stdin::GitApprove => {
            if value.iter().any(|byte| matches!(byte, b'\n' | b'\r' | 0)) {
                let message = "git's credential format holds neither newlines nor NUL";
                return Err(Error::new(Kind::Invalid, message));
            }
            vec![b"url=", path.as_bytes(), b"\npassword=", value, b"\n\n"]
        }
        Stdin::DockerStore => return docker_store(path, value, options),
    };
    let mut text = Zeroizing::new(Vec::with_capacity(
        parts.iter().map(|part| part.len()).sum(),
    ));
    for part in parts {
        text.extend_from_slice(part);
    }
    Ok(text)
}

fn docker_store(path: &str, value: &[u8], options: &SetOptions) -> Result<Zeroizing<Vec<u8>>> {
    #[derive(serde::Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Store<'a> {
        #[serde(rename = "ServerURL")]
        server_url: &'a str,
        username: &'a str,
        secret: &'a str,
    }
    let secret = std::str::from_utf8(value)
        .map_err(|_| Error::new(Kind::Invalid, "this command stores text only"))?;
    // The helpers insist on a user; `<token>` is what Docker itself writes when there is none.
    let username = options
        .metadata
        .get("username")
        .map_or("<token>", String::as_str);
    crate::wire::line(&Store {
        server_url: path,
        username,
        secret,
    })
}
