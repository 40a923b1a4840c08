//! A plane, a world and the disturbances of a scenario: a function from a request to an answer and the next world.

use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::case::{Case, Outcome};
use super::disturbance::{Deed, Disturbance, Instead, Moment};
use super::names::Names;
use super::plane::{Place, Plane, Route};
use super::request::{Answer, Asked, Request};
use super::world::{Answered, Effect, Performed, World};
use crate::expr::Why;

/// Who the ledger names for what came as a request.
const CALLER: &str = "drill-operator";

/// A simulated control plane and its world. It has no clock and no chance.
#[derive(Debug, Clone, PartialEq)]
pub struct Simulation {
    plane: Arc<Plane>,
    disturbances: Arc<[Disturbance]>,
    world: World,
}

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// It is answered.
    Answer(Answer),
    /// The connection is cut.
    Cut,
}

/// An expression of a document that has no value, with its place: nothing may change by it.
struct Broken(String);

impl Broken {
    fn at(place: &str) -> impl FnOnce(Why) -> Self {
        let place = place.to_owned();
        move |why| Self(format!("{place}: {why}"))
    }
}

impl Simulation {
    /// A simulation at its beginning.
    pub(super) fn new(plane: Arc<Plane>, disturbances: Arc<[Disturbance]>, world: World) -> Self {
        Self {
            plane,
            disturbances,
            world,
        }
    }

    /// The world as it is now.
    #[must_use]
    pub fn world(&self) -> &World {
        &self.world
    }

    /// Goes on in a world that was kept; it must be one of the same scenario.
    pub(super) fn go_on_in(&mut self, kept: World) {
        self.world = kept;
        let count = self.disturbances.len();
        self.world.progress.resize(count, Default::default());
    }

    /// Answers one request, and moves the world on.
    pub fn handle(&mut self, asked: Asked<'_>) -> Reply {
        let request = match Request::new(asked) {
            Ok(request) => request,
            Err(answer) => {
                if asked.method != "GET" {
                    let request = format!("{} {}", asked.method, asked.path);
                    self.note(
                        CALLER,
                        request,
                        None,
                        Json::Null,
                        Effect::Refused,
                        Some(answer.status),
                    );
                }
                return Reply::Answer(answer);
            }
        };
        let before = self.world.clone();
        self.perform(&request).unwrap_or_else(|Broken(what)| {
            self.world = before;
            let answer = Answer::problem(500, format!("{what}; nothing was changed"));
            self.note_request(CALLER, &request, Effect::Refused, Some(answer.status));
            Reply::Answer(answer)
        })
    }

    /// What is due before the answer, the answer, and what is due after it.
    fn perform(&mut self, request: &Request<'_>) -> Result<Reply, Broken> {
        let all = Arc::clone(&self.disturbances);
        let (before, after): (Vec<_>, Vec<_>) = all
            .iter()
            .zip(&mut self.world.progress)
            .filter_map(|(disturbance, progress)| {
                disturbance.is_due(request, progress).then_some(disturbance)
            })
            .partition(|disturbance| disturbance.moment == Moment::Before);
        let reply = match self.happen(&before)? {
            Some(instead) => {
                let status = match &instead {
                    Reply::Answer(answer) => Some(answer.status),
                    Reply::Cut => None,
                };
                self.note_request(CALLER, request, Effect::Refused, status);
                instead
            }
            None => Reply::Answer(self.route(CALLER, request)?),
        };
        Ok(self.happen(&after)?.unwrap_or(reply))
    }

    /// Lets things happen; the first answer among them is given instead of the plane's.
    fn happen(&mut self, due: &[&Disturbance]) -> Result<Option<Reply>, Broken> {
        let mut reply = None;
        for disturbance in due {
            let place = format!("disturbance `{}`", disturbance.title);
            if let Some(deed) = &disturbance.deed {
                self.act(deed, &disturbance.title, &place)?;
            }
            let instead = match &disturbance.answer {
                None => continue,
                Some(Instead::Cut) => Reply::Cut,
                Some(Instead::Says(says)) => {
                    let names = Names::of(&self.plane.lets, &self.world.state);
                    let answer = names.and_then(|mut names| says.answer(&mut names));
                    Reply::Answer(answer.map_err(Broken::at(&place))?)
                }
            };
            reply.get_or_insert(instead);
        }
        Ok(reply)
    }

    /// Somebody sends a request, or changes something without one; what is merged after a request follows from it.
    fn act(&mut self, deed: &Deed, title: &str, place: &str) -> Result<(), Broken> {
        let plane = Arc::clone(&self.plane);
        if let Some(sends) = &deed.sends {
            let filled = match &sends.body {
                None => Ok(Vec::new()),
                Some(body) => Names::of(&plane.lets, &self.world.state)
                    .and_then(|mut names| body.fill(&mut names))
                    .map(|body| body.to_string().into_bytes()),
            };
            let body = filled.map_err(Broken::at(place))?;
            let path = sends.request.plain_path().unwrap_or_default();
            let request = Request::new(Asked {
                method: sends.request.method(),
                path: &path,
                query: "",
                key: None,
                body: &body,
            });
            let request = request.map_err(|answer| Broken(format!("{place}: {}", answer.body)))?;
            let noted = self.world.performed.len();
            self.route(deed.actor.as_str(), &request)?;
            if self.world.performed[noted..]
                .iter()
                .any(|p| p.effect != Effect::Took)
            {
                return Ok(());
            }
        }
        if let Some(form) = &deed.merge {
            let patch = Names::of(&plane.lets, &self.world.state)
                .and_then(|mut names| form.fill_map(&mut names));
            super::patch::merge(&mut self.world.state, patch.map_err(Broken::at(place))?);
            if deed.sends.is_none() {
                self.note(
                    deed.actor.as_str(),
                    title.to_owned(),
                    None,
                    Json::Null,
                    Effect::Took,
                    None,
                );
            }
        }
        Ok(())
    }

    /// The plane's own answer to a request of anybody, noted on the ledger where it asks for a change.
    fn route(&mut self, actor: &str, request: &Request<'_>) -> Result<Answer, Broken> {
        let plane = Arc::clone(&self.plane);
        let (answer, effect) = match plane.find(request) {
            Err(answer) => (answer, Effect::Refused),
            Ok(Place::Ledger) => return Ok(self.ledger(request)),
            Ok(Place::Route(route, path)) => self.answered(actor, request, (route, path))?,
        };
        self.note_request(actor, request, effect, Some(answer.status));
        Ok(answer)
    }

    fn ledger(&self, request: &Request<'_>) -> Answer {
        match request.knows(&[]) {
            Ok(()) => Answer::ok(json!({"drill": true, "performed": self.world.performed})),
            Err(answer) => answer,
        }
    }

    fn answered(
        &mut self,
        actor: &str,
        request: &Request<'_>,
        (route, path): (&Route, Json),
    ) -> Result<(Answer, Effect), Broken> {
        let place = format!("route `{}`", route.on);
        let mut names = Names::of(&route.lets, &self.world.state).map_err(Broken::at(&place))?;
        for (name, value) in [
            ("path", path),
            ("query", route.parameters(request)),
            ("actor", actor.into()),
        ] {
            names.give(name, value).map_err(Broken::at(&place))?;
        }
        if let Some((n, case)) = first(&route.first, &mut names, &place)? {
            let at = format!("{place}, case {n} of the plane");
            let outcome = case
                .outcome(&mut names, &self.world.state)
                .map_err(Broken::at(&at))?;
            return Ok(self.settled(outcome));
        }
        let refused = |answer| Ok((answer, Effect::Refused));
        let body = match request
            .knows(&route.query)
            .and_then(|()| route.body(request))
        {
            Ok(body) => body,
            Err(answer) => return refused(answer),
        };
        if let Err(why) = names.give("body", body) {
            return refused(Answer::problem(422, why.to_string()));
        }
        let key = match request.key() {
            Ok(key) => key,
            Err(answer) => return refused(answer),
        };
        let spelled = spelled(request);
        if let Some(before) = key.and_then(|key| self.world.answered.get(key)) {
            if before.request == spelled && before.body == request.body {
                return Ok((before.answer.clone(), Effect::Repeated));
            }
            return refused(Answer::problem(
                422,
                "this idempotency key belongs to another request",
            ));
        }
        let Some((n, case)) = first(&route.cases, &mut names, &place)? else {
            return Err(Broken(format!("{place}: no case applies")));
        };
        let at = format!("{place}, case {n}");
        let outcome = case
            .outcome(&mut names, &self.world.state)
            .map_err(Broken::at(&at))?;
        let (answer, effect) = self.settled(outcome);
        if let (Some(key), Effect::Took, 200..=399) = (key, effect, answer.status) {
            let answered = Answered {
                request: spelled,
                body: request.body.clone(),
                answer: answer.clone(),
            };
            self.world.answered.insert(key.to_owned(), answered);
        }
        Ok((answer, effect))
    }

    fn settled(&mut self, outcome: Outcome) -> (Answer, Effect) {
        let effect = match outcome.state {
            Some(state) => {
                self.world.state = state;
                Effect::Took
            }
            None if outcome.answer.status < 400 => Effect::Repeated,
            None => Effect::Refused,
        };
        (outcome.answer, effect)
    }

    /// Puts a request on the ledger, where it asks for a change.
    fn note_request(
        &mut self,
        actor: &str,
        request: &Request<'_>,
        effect: Effect,
        status: Option<u16>,
    ) {
        if !request.only_reads() {
            let key = request.key().ok().flatten().map(str::to_owned);
            self.note(
                actor,
                spelled(request),
                key,
                request.body.clone(),
                effect,
                status,
            );
        }
    }

    fn note(
        &mut self,
        actor: &str,
        request: String,
        idempotency_key: Option<String>,
        body: Json,
        effect: Effect,
        status: Option<u16>,
    ) {
        self.world.performed.push(Performed {
            actor: actor.to_owned(),
            request,
            idempotency_key,
            body,
            effect,
            status,
        });
    }
}

/// The first case that applies, with its number.
fn first<'a>(
    cases: &'a [Case],
    names: &mut Names<'_>,
    place: &str,
) -> Result<Option<(usize, &'a Case)>, Broken> {
    for (n, case) in (1..).zip(cases) {
        let applies = case
            .applies(names)
            .map_err(Broken::at(&format!("{place}, case {n}, `if`")))?;
        if applies {
            return Ok(Some((n, case)));
        }
    }
    Ok(None)
}

fn spelled(request: &Request<'_>) -> String {
    format!("{} {}", request.method, request.path)
}
