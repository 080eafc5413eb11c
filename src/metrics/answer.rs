//! The JSON that Prometheus' HTTP API answers an instant query with.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::Sample;

/// Most samples of one answer; a gate's query aggregates, so more is a mistake in the query.
pub(super) const MAX_SAMPLES: usize = 10_000;

/// What an answer says.
#[derive(Debug, PartialEq)]
pub(super) enum Answer {
    Samples(Vec<Sample>),
    /// `status: error`: Prometheus' error type and text.
    Failed {
        kind: String,
        text: String,
    },
    /// An answer that no gate may rest on.
    Unusable(String),
}

#[derive(Deserialize)]
struct Envelope {
    status: String,
    #[serde(default)]
    data: Option<Data>,
    #[serde(default, rename = "errorType")]
    error_type: String,
    #[serde(default)]
    error: String,
    #[serde(default)]
    warnings: Vec<String>,
    /// VictoriaMetrics: some storage nodes did not answer.
    #[serde(default, rename = "isPartial")]
    is_partial: bool,
}

#[derive(Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
enum Data {
    Vector(Vec<Series>),
    Scalar(Point),
    Matrix(IgnoredAny),
    String(IgnoredAny),
}

/// Time (unused: the query fixes it) and value.
#[derive(Deserialize)]
struct Point(IgnoredAny, String);

#[derive(Deserialize)]
struct Series {
    /// Absent where the series is a native histogram.
    value: Option<Point>,
}

/// Reads the body of an answer. The error says what is wrong with the JSON, without its content.
pub(super) fn read(body: &[u8]) -> Result<Answer, String> {
    let envelope: Envelope = serde_json::from_slice(body).map_err(|error| {
        let what = match error.classify() {
            serde_json::error::Category::Eof => "ends too early",
            serde_json::error::Category::Syntax => "is not JSON",
            _ => "is not an answer of Prometheus' query API",
        };
        format!("the answer {what} (line {}, column {})", error.line(), error.column())
    })?;
    if envelope.status != "success" {
        return Ok(Answer::Failed { kind: envelope.error_type, text: envelope.error });
    }
    if envelope.is_partial {
        return Ok(Answer::Unusable("the answer holds only a part of the data: some of its storage did not answer".to_owned()));
    }
    if let Some(warning) = envelope.warnings.first() {
        return Ok(Answer::Unusable(format!("the answer may be incomplete, it carries the warning: {warning}")));
    }
    let points = match envelope.data {
        None => return Err("the answer holds no data".to_owned()),
        Some(Data::Matrix(_)) => {
            return Ok(Answer::Unusable(
                "the query gives ranges (a matrix), one number is needed: wrap it, as in avg_over_time(…) or rate(…)".to_owned(),
            ));
        }
        Some(Data::String(_)) => return Ok(Answer::Unusable("the query gives a text, a number is needed".to_owned())),
        Some(Data::Scalar(point)) => vec![point],
        Some(Data::Vector(series)) => {
            if series.len() > MAX_SAMPLES {
                let found = series.len();
                return Ok(Answer::Unusable(format!(
                    "the query gives {found} series, at most {MAX_SAMPLES} are read: aggregate them, as in sum(…)"
                )));
            }
            match series.into_iter().map(|series| series.value).collect::<Option<Vec<_>>>() {
                Some(points) => points,
                None => {
                    return Ok(Answer::Unusable(
                        "the query gives a native histogram, a number is needed: use histogram_quantile(…) or histogram_count(…)"
                            .to_owned(),
                    ));
                }
            }
        }
    };
    let numbers: Result<Vec<Sample>, String> = points.into_iter().map(|Point(_, text)| number(&text)).collect();
    numbers.map(Answer::Samples)
}

/// Prometheus writes numbers as texts, among them `NaN`, `+Inf` and `-Inf`; what they mean is the judge's matter.
fn number(text: &str) -> Result<Sample, String> {
    text.parse().map(|value| Sample { value }).map_err(|_| "the answer holds a value that is not a number".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        /// Whatever bytes a server sends are an answer or an error.
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            let _ = read(&bytes);
        }

        /// Likewise an answer with a part of it replaced.
        #[test]
        fn damaged_answers_are_survived(at in 0_usize..100, part in r#"[\[\]{}",:0-9a-zN]{0,8}"#) {
            let whole = r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"1"]}]},"warnings":[]}"#;
            let mut bytes = whole.as_bytes().to_vec();
            let end = (at + part.len()).min(bytes.len());
            bytes.splice(at.min(end)..end, part.bytes());
            let _ = read(&bytes);
        }
    }
}
