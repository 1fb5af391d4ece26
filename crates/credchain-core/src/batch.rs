//! Many credentials through their chains at once, with as few questions as possible.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};

use crate::provider::Empty;
use crate::{
    At, Context, Error, Kind, Link, LinkName, Naming, Outcome, Provider, Reference, Resolution,
    Result, Secret, Step, Trace,
};

/// One credential to resolve, and where to look for it.
#[derive(Clone, Debug)]
pub struct Item<'a> {
    naming: Cow<'a, Naming>,
    links: &'a [Link],
    at: Option<&'a BTreeMap<LinkName, At>>,
    without: Option<&'a BTreeSet<LinkName>>,
    refused: Option<&'a BTreeMap<LinkName, Error>>,
    default: Option<&'a Secret>,
    allow_empty: bool,
}

impl<'a> Item<'a> {
    /// A secret found by convention at `links`, in order.
    pub fn new(naming: impl Into<Cow<'a, Naming>>, links: &'a [Link]) -> Self {
        Self {
            naming: naming.into(),
            links,
            at: None,
            without: None,
            refused: None,
            default: None,
            allow_empty: false,
        }
    }

    /// The same, at other places than the conventional ones for some links.
    pub fn at(mut self, at: &'a BTreeMap<LinkName, At>) -> Self {
        self.at = Some(at);
        self
    }

    /// The same, passing over some links as not applicable: they are being bootstrapped.
    pub fn without(mut self, links: &'a BTreeSet<LinkName>) -> Self {
        self.without = Some(links);
        self
    }

    /// The same, failing at some links instead of asking them: they may be asked for other
    /// credentials, but not for this one.
    pub fn refusing(mut self, links: &'a BTreeMap<LinkName, Error>) -> Self {
        self.refused = Some(links);
        self
    }

    /// The same, with a value for when every link missed.
    pub fn or(mut self, default: Option<&'a Secret>) -> Self {
        self.default = default;
        self
    }

    /// The same, taking an empty value as a value.
    pub fn allow_empty(mut self, allow: bool) -> Self {
        self.allow_empty = allow;
        self
    }

    /// Where `link` may keep it; an error says why it keeps it nowhere.
    fn candidates(&self, link: &Link) -> Result<Vec<Reference>, &'static str> {
        if self
            .without
            .is_some_and(|without| without.contains(link.name()))
        {
            return Err("being bootstrapped");
        }
        match self.at.and_then(|at| at.get(link.name())) {
            Some(At::Here(reference)) => return Ok(vec![reference.clone()]),
            Some(At::Skip) => return Err("skipped by the configuration"),
            None => {}
        }
        let mut places = link.provider().locate(&self.naming);
        if !self.naming.declared
            && let Ok(as_written) = Reference::new(self.naming.name.as_str())
        {
            places.retain(|place| *place != as_written);
            places.insert(0, as_written);
        }
        if places.is_empty() {
            Err("no place for this name")
        } else {
            Ok(places)
        }
    }
}

impl<'a> From<&'a Naming> for Cow<'a, Naming> {
    fn from(naming: &'a Naming) -> Self {
        Cow::Borrowed(naming)
    }
}

impl From<Naming> for Cow<'_, Naming> {
    fn from(naming: Naming) -> Self {
        Cow::Owned(naming)
    }
}

/// Resolves every item through its own links and answers in the same order.
///
/// Items that stand at the same provider at the same moment are asked for in one
/// [`get_many`](Provider::get_many); only the misses move on; the work of different providers
/// overlaps in time. A failure of one item leaves the others alone.
pub async fn resolve_batch(items: &[Item<'_>], cx: &Context) -> Vec<Resolution> {
    let mut walks: Vec<Walk<'_>> = items.iter().map(Walk::new).collect();
    let mut running = FuturesUnordered::new();
    let mut moved: Vec<usize> = (0..walks.len()).collect();
    loop {
        for question in questions(&mut walks, &moved) {
            running.push(question.ask(cx));
        }
        moved.clear();
        let Some(answer) = running.next().await else {
            break;
        };
        moved.extend(answer.deliver(&mut walks));
        // Whatever else is ready now may share the next question.
        while let Some(Some(answer)) = running.next().now_or_never() {
            moved.extend(answer.deliver(&mut walks));
        }
    }
    walks.into_iter().map(Walk::finish).collect()
}

/// How far one item has come.
struct Walk<'a> {
    item: &'a Item<'a>,
    link: usize,
    /// The places still to be tried at the current link, the next one last.
    places: Vec<Reference>,
    steps: Vec<Step>,
    note: Option<Cow<'static, str>>,
    /// The first failure, not a miss, that the user's settings let it go past.
    passed: Option<Error>,
    done: Option<Result<Secret>>,
}

impl<'a> Walk<'a> {
    fn new(item: &'a Item<'a>) -> Self {
        let mut walk = Self {
            item,
            link: 0,
            places: Vec::new(),
            steps: Vec::new(),
            note: None,
            passed: None,
            done: None,
        };
        walk.enter();
        walk
    }

    /// Finds the next link that has a place for the item, starting at the current one.
    fn enter(&mut self) {
        while let Some(link) = self.item.links.get(self.link) {
            if let Some(error) = self
                .item
                .refused
                .and_then(|refused| refused.get(link.name()))
            {
                let outcome = Outcome::Failed(error.kind());
                self.record(link.name().clone(), outcome, Duration::ZERO, None, None);
                self.done = Some(Err(error.clone().at(link.name().clone())));
                return;
            }
            match self.item.candidates(link) {
                Ok(mut places) => {
                    places.reverse();
                    self.places = places;
                    return;
                }
                Err(why) => {
                    let outcome = Outcome::Failed(Kind::NotApplicable);
                    self.record(
                        link.name().clone(),
                        outcome,
                        Duration::ZERO,
                        None,
                        Some(why.into()),
                    );
                    self.link += 1;
                }
            }
        }
        self.exhausted();
    }

    /// Every link missed: the default, or an error that tells how it went. If a link failed that
    /// the user lets it go past, nobody knows whether the value is there.
    fn exhausted(&mut self) {
        if let Some(error) = self.passed.take() {
            self.done = Some(Err(error));
            return;
        }
        if let Some(default) = self.item.default {
            let link = LinkName::literal("default");
            self.record(link, Outcome::Default, Duration::ZERO, None, None);
            self.done = Some(Ok(default.clone()));
            return;
        }
        let empty = self
            .steps
            .iter()
            .find(|step| step.note.as_deref() == Some(SET_BUT_EMPTY));
        let error = match (empty, self.steps.len()) {
            (Some(step), _) => Error::new(Kind::NotFound, SET_BUT_EMPTY).at(step.link.clone()),
            (None, 0) => Error::new(Kind::NotFound, "its chain has no links"),
            (None, 1) => Error::new(Kind::NotFound, format!("not at `{}`", self.steps[0].link)),
            (None, _) => {
                let asked: Vec<_> = self.steps.iter().map(|s| format!("`{}`", s.link)).collect();
                Error::new(Kind::NotFound, format!("at none of {}", asked.join(", ")))
            }
        };
        self.done = Some(Err(error));
    }

    /// Takes in a provider's answer; tells whether the item has to be asked for again.
    fn answer(&mut self, reference: &Reference, answer: Result<Secret>, elapsed: Duration) -> bool {
        let Some(link) = self.item.links.get(self.link) else {
            return false;
        };
        let answer = self.judge(link, answer);
        let place = Some(reference.clone());
        match answer {
            Ok(secret) => {
                self.record(link.name().clone(), Outcome::Hit, elapsed, place, None);
                if let Some(step) = self.steps.last_mut() {
                    step.cached = secret.meta().cached;
                    step.stale = secret.meta().stale;
                }
                self.done = Some(Ok(secret.with_meta(|meta| {
                    meta.link = Some(link.name().clone());
                    meta.reference.get_or_insert_with(|| reference.clone());
                })));
                false
            }
            Err(error) if error.kind() == Kind::NotFound && !self.places.is_empty() => true,
            Err(error) => {
                let kind = error.kind();
                let note = self.note.take();
                self.record(
                    link.name().clone(),
                    Outcome::Failed(kind),
                    elapsed,
                    place,
                    note,
                );
                if !link.reactions().moves_on(kind) {
                    self.done = Some(Err(error.at(link.name().clone())));
                    return false;
                }
                if !kind.is_miss() && self.passed.is_none() {
                    self.passed = Some(error.at(link.name().clone()));
                }
                self.link += 1;
                self.enter();
                self.done.is_none()
            }
        }
    }

    /// Decides what an empty value means here.
    fn judge(&mut self, link: &Link, answer: Result<Secret>) -> Result<Secret> {
        let secret = answer?;
        if !secret.is_empty() || self.item.allow_empty {
            return Ok(secret);
        }
        match link.provider().capabilities().empty {
            Empty::Unset => {
                self.note = Some(SET_BUT_EMPTY.into());
                Err(Error::new(Kind::NotFound, SET_BUT_EMPTY))
            }
            Empty::Stored => Err(Error::new(Kind::Invalid, "an empty value is stored")
                .with_hint("`allow_empty = true` takes an empty value as it is")),
        }
    }

    fn record(
        &mut self,
        link: LinkName,
        outcome: Outcome,
        elapsed: Duration,
        reference: Option<Reference>,
        note: Option<Cow<'static, str>>,
    ) {
        tracing::debug!(
            credential = %self.item.naming.name, %link, outcome = outcome.as_str(),
            ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX), "asked"
        );
        self.steps.push(Step {
            link,
            outcome,
            elapsed,
            reference,
            cached: false,
            stale: None,
            note,
        });
    }

    fn finish(self) -> Resolution {
        let name = &self.item.naming.name;
        let result = self.done.unwrap_or_else(|| {
            Err(Error::new(
                Kind::Internal,
                "the resolution ended without an answer",
            ))
        });
        Resolution {
            result: result.map_err(|error| error.for_credential(name)),
            trace: Trace { steps: self.steps },
        }
    }
}

pub(crate) const SET_BUT_EMPTY: &str = "set but empty";

/// What one provider is asked at once, and for whom.
struct Question {
    provider: Arc<dyn Provider>,
    references: Vec<Reference>,
    /// The walks that wait, each with its reference's place in `references`.
    waiting: Vec<(usize, usize)>,
}

struct Answer {
    question: Question,
    answers: Vec<Result<Secret>>,
    elapsed: Duration,
}

/// Groups the items that moved by the provider they now stand at; equal references once.
fn questions(walks: &mut [Walk<'_>], moved: &[usize]) -> Vec<Question> {
    let mut groups: Vec<Question> = Vec::new();
    let mut by_provider: HashMap<*const (), usize> = HashMap::new();
    let mut known: HashMap<(usize, Reference), usize> = HashMap::new();
    for &at in moved {
        let walk = &mut walks[at];
        if walk.done.is_some() {
            continue;
        }
        let (Some(link), Some(reference)) = (walk.item.links.get(walk.link), walk.places.pop())
        else {
            continue;
        };
        let identity = Arc::as_ptr(link.provider()).cast::<()>();
        let group = *by_provider.entry(identity).or_insert_with(|| {
            let provider = link.provider().clone();
            groups.push(Question {
                provider,
                references: Vec::new(),
                waiting: Vec::new(),
            });
            groups.len() - 1
        });
        let question = &mut groups[group];
        let place = *known.entry((group, reference.clone())).or_insert_with(|| {
            question.references.push(reference);
            question.references.len() - 1
        });
        question.waiting.push((at, place));
    }
    groups
}

impl Question {
    fn ask(self, cx: &Context) -> BoxFuture<'_, Answer> {
        async move {
            let start = cx.clock().monotonic();
            let asking = async {
                Ok(match self.references.as_slice() {
                    [one] => vec![self.provider.get(one, cx).await],
                    many => self.provider.get_many(many, cx).await,
                })
            };
            let late = |error: Error| vec![Err(error); self.references.len()];
            let answers = cx.in_time(asking).await.unwrap_or_else(late);
            let elapsed = cx.clock().monotonic().saturating_sub(start);
            Answer {
                question: self,
                answers,
                elapsed,
            }
        }
        .boxed()
    }
}

impl Answer {
    /// Hands every waiting walk its answer; returns those that go on.
    fn deliver(self, walks: &mut [Walk<'_>]) -> Vec<usize> {
        let Self {
            question,
            answers,
            elapsed,
        } = self;
        let complete = answers.len() == question.references.len();
        let mut moved = Vec::new();
        for (at, place) in question.waiting {
            let answer = answers
                .get(place)
                .filter(|_| complete)
                .cloned()
                .unwrap_or_else(|| {
                    Err(Error::new(
                        Kind::Internal,
                        "the provider left questions unanswered",
                    ))
                });
            if walks[at].answer(&question.references[place], answer, elapsed) {
                moved.push(at);
            }
        }
        moved
    }
}
