//! One way in which a request can be answered.

use std::collections::BTreeMap;

use axum::http::{HeaderName, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value as Json};

use super::form::{Form, Text};
use super::names::{Cel, Known, Names};
use super::patch::merge;
use super::request::Answer;
use crate::expr::{Expression, Template, Why};

/// One way in which a request can be answered: when, what changes, and what is said.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "CaseDocument")]
pub(super) struct Case {
    /// Absent: whenever no case before it applied.
    pub(super) when: Option<Expression>,
    merge: Option<Form>,
    says: Says,
}

/// An answer that is to be filled.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "SaysDocument")]
pub(super) struct Says {
    status: u16,
    /// Present exactly where the status is 400 or more.
    problem: Option<Template>,
    body: Option<Form>,
    headers: BTreeMap<String, Template>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseDocument {
    #[serde(default, rename = "if")]
    when: Option<Cel>,
    #[serde(default)]
    merge: Option<Form>,
    #[serde(default)]
    status: Option<u16>,
    #[serde(default)]
    problem: Option<Text>,
    #[serde(default)]
    body: Option<Form>,
    #[serde(default)]
    headers: BTreeMap<String, Text>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SaysDocument {
    status: u16,
    #[serde(default)]
    problem: Option<Text>,
    #[serde(default)]
    body: Option<Form>,
    #[serde(default)]
    headers: BTreeMap<String, Text>,
}

/// What a case makes of a request.
pub(super) struct Outcome {
    pub(super) answer: Answer,
    /// The state afterwards; none where nothing changes.
    pub(super) state: Option<Map<String, Json>>,
}

impl TryFrom<CaseDocument> for Case {
    type Error = String;

    fn try_from(document: CaseDocument) -> Result<Self, String> {
        Ok(Self {
            when: document.when.map(|Cel(when)| when),
            merge: document.merge.map(mergeable).transpose()?,
            says: SaysDocument {
                status: document.status.unwrap_or(200),
                problem: document.problem,
                body: document.body,
                headers: document.headers,
            }
            .try_into()?,
        })
    }
}

impl TryFrom<SaysDocument> for Says {
    type Error = String;

    fn try_from(document: SaysDocument) -> Result<Self, String> {
        let status = document.status;
        // Below 200 an answer is still to come.
        if StatusCode::from_u16(status).is_err() || !(200..=599).contains(&status) {
            return Err(format!("`{status}` is no status of an answer"));
        }
        match (&document.problem, status >= 400) {
            (None, true) => {
                return Err(format!(
                    "with status {status}, say what is wrong: `problem: …`"
                ));
            }
            (Some(_), false) => {
                return Err(format!(
                    "`problem` needs a status of 400 or more, not {status}"
                ));
            }
            _ => {}
        }
        if status >= 400
            && document
                .body
                .as_ref()
                .is_some_and(|body| !body.may_be_map())
        {
            return Err(
                "the body of a problem is a map: its members are added to the problem".into(),
            );
        }
        for name in document.headers.keys() {
            if name.parse::<HeaderName>().is_err() {
                return Err(format!("`{name}` is no name of a header"));
            }
        }
        Ok(Self {
            status,
            problem: document.problem.map(|Text(problem)| problem),
            body: document.body,
            headers: document
                .headers
                .into_iter()
                .map(|(name, Text(value))| (name, value))
                .collect(),
        })
    }
}

/// A document that can be merged into the state.
pub(super) fn mergeable(form: Form) -> Result<Form, String> {
    if form.may_be_map() {
        Ok(form)
    } else {
        Err("`merge` is a map, or `${…}` that gives one".into())
    }
}

impl Case {
    /// Whether it applies.
    pub(super) fn applies(&self, names: &mut Names<'_>) -> Result<bool, Why> {
        self.when
            .as_ref()
            .map_or(Ok(true), |when| names.holds(when))
    }

    /// What it makes of the request. The answer tells of the state as it is afterwards.
    pub(super) fn outcome(
        &self,
        names: &mut Names<'_>,
        state: &Map<String, Json>,
    ) -> Result<Outcome, Why> {
        let Some(patch) = &self.merge else {
            let answer = self.says.answer(names)?;
            return Ok(Outcome {
                answer,
                state: None,
            });
        };
        let mut after = state.clone();
        merge(&mut after, patch.fill_map(names)?);
        let answer = self.says.answer(&mut names.after(&after)?)?;
        Ok(Outcome {
            answer,
            state: Some(after),
        })
    }

    /// That it refers only to what is there.
    pub(super) fn check(&self, known: &Known<'_>) -> Result<(), String> {
        self.when.iter().try_for_each(|when| known.check(when))?;
        self.merge
            .iter()
            .try_for_each(|merge| known.check_form(merge))?;
        self.says.check(known)
    }
}

impl Says {
    /// The answer, filled.
    pub(super) fn answer(&self, names: &mut Names<'_>) -> Result<Answer, Why> {
        let mut answer = match &self.problem {
            Some(problem) => {
                let mut answer = Answer::problem(self.status, names.text(problem)?);
                let members = self.body.as_ref().map(|body| body.fill_map(names));
                for (member, value) in members.transpose()?.unwrap_or_default() {
                    answer = answer.with(&member, value);
                }
                answer
            }
            None => Answer {
                status: self.status,
                headers: BTreeMap::new(),
                body: self
                    .body
                    .as_ref()
                    .map_or(Ok(Json::Null), |body| body.fill(names))?,
            },
        };
        for (name, value) in &self.headers {
            answer.headers.insert(name.clone(), names.text(value)?);
        }
        Ok(answer)
    }

    /// That it refers only to what is there.
    pub(super) fn check(&self, known: &Known<'_>) -> Result<(), String> {
        let texts = self.problem.iter().chain(self.headers.values());
        texts
            .into_iter()
            .try_for_each(|text| known.check_template(text))?;
        self.body.iter().try_for_each(|body| known.check_form(body))
    }
}
