//! The calculators for callers that speak JSON: the page, by way of WebAssembly.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::differences::{Difference, differences};
use crate::form::{BadInput, Form};
use crate::plot::Plot;
use crate::presets::{self, Preset};
use crate::table::Table;
use crate::{savings, stages};

#[derive(Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case", deny_unknown_fields)]
enum Question {
    /// What there is.
    Forms,
    Savings {
        inputs: Value,
    },
    Stages {
        inputs: Value,
    },
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
enum Answer {
    Forms {
        savings: Box<Described<savings::Inputs>>,
        stages: Box<Described<stages::Inputs>>,
        differences: Vec<Difference>,
    },
    Savings(Box<Answered<savings::Outcome>>),
    Stages(Box<Answered<stages::Outcome>>),
    Error(String),
}

#[derive(Serialize)]
struct Described<Inputs> {
    form: Form,
    presets: Vec<Preset<Inputs>>,
}

#[derive(Serialize)]
struct Answered<Outcome> {
    outcome: Outcome,
    tables: Vec<Table>,
    plots: Vec<Plot>,
    command: String,
}

/// Answers a question in JSON by an answer in JSON, which is `{"error": "…"}` for what cannot be.
///
/// | question | answer |
/// |---|---|
/// | `{"ask": "forms"}` | forms and presets of both calculators, and the differences to the chapter |
/// | `{"ask": "savings", "inputs": {…}}` | outcome, tables, plots and command |
/// | `{"ask": "stages", "inputs": {…}}` | the same |
#[must_use]
pub fn answer(question: &str) -> String {
    let answer = serde_json::from_str(question)
        .map_err(|error| error.to_string())
        .and_then(|question| answered(question).map_err(|error| error.to_string()));
    let written = serde_json::to_string(&answer.unwrap_or_else(Answer::Error));
    // Figures and texts can always be written.
    written.unwrap_or_else(|_| r#"{"error":"the answer cannot be written"}"#.to_owned())
}

fn answered(question: Question) -> Result<Answer, BadInput> {
    Ok(match question {
        Question::Forms => Answer::Forms {
            savings: Box::new(Described { form: savings::FORM, presets: presets::savings() }),
            stages: Box::new(Described { form: stages::FORM, presets: presets::stages() }),
            differences: differences(),
        },
        Question::Savings { inputs } => {
            let inputs: savings::Inputs = read(&savings::FORM, inputs)?;
            let outcome = savings::outcome(&inputs)?;
            let (tables, plots, command) =
                (outcome.tables(), outcome.plots(), inputs.command_line());
            Answer::Savings(Box::new(Answered { outcome, tables, plots, command }))
        }
        Question::Stages { inputs } => {
            let inputs: stages::Inputs = read(&stages::FORM, inputs)?;
            let outcome = stages::outcome(&inputs)?;
            let (tables, plots, command) =
                (outcome.tables(), outcome.plots(), inputs.command_line());
            Answer::Stages(Box::new(Answered { outcome, tables, plots, command }))
        }
    })
}

/// Looks at the numbers first: what is none is told by its name then.
fn read<Inputs: DeserializeOwned>(form: &Form, inputs: Value) -> Result<Inputs, BadInput> {
    form.check(&inputs)?;
    serde_json::from_value(inputs).map_err(|error| BadInput(error.to_string()))
}
