//! Deployment states: their meaning and what to do about them.
//!
//! | `delivery_status` | `status_detail` | state |
//! |---|---|---|
//! | Delivered | any | `delivered` |
//! | Failed | `FAILURE_BY_OPTOUT_CONTACT` | `excluded` |
//! | Failed | empty or unknown | `other_failure` |
//! | unknown | any | null |

use crate::cells::enumeration::normalise;

/// One deployment state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// The name in the catalog.
    pub name: &'static str,
    /// What it means for the recipient.
    pub meaning: &'static str,
    /// What to do about it, if anything.
    pub advice: Option<&'static str>,
    /// The vendor's codes for it.
    pub codes: &'static [&'static str],
    /// Parts of the sentences for it in the vendor's dashboard.
    sentences: &'static [&'static str],
}

const fn state(
    name: &'static str,
    meaning: &'static str,
    advice: Option<&'static str>,
    codes: &'static [&'static str],
    sentences: &'static [&'static str],
) -> State {
    State { name, meaning, advice, codes, sentences }
}

/// Every state, in the order of listings. The failures start at the fourth.
pub static STATES: [State; 14] = [
    state("delivered", "delivered to the user", None, &["DELIVERED"], &[]),
    state("sent", "handed over, delivery not confirmed", None, &["SUCCESS"], &[]),
    state("in_process", "still being sent", None, &[], &[]),
    state(
        "active_agent_session",
        "the user has an open session with an agent",
        Some("ends when the agent closes the session"),
        &["FAILURE_BY_HUMAN_HANDOVER"],
        &["active session with an agent", "open conversation with agents"],
    ),
    state(
        "blocked_or_outdated",
        "user blocked the line, has no WhatsApp, an old version, or has not accepted the terms",
        Some("ask the user on another channel"),
        &["FAILURE_BY_UNABLE_TO_CONTACT", "REVOKED"],
        &[
            "user has whatsapp blocked",
            "accepted the new terms of service",
            "outdated version of whatsapp",
            "have a whatsapp account",
            "have whatsapp installed",
            "has blocked the whatsapp line",
        ],
    ),
    state(
        "excluded",
        "on the company's exclusion list, or opted out",
        Some("leave out of sends"),
        &["FAILURE_BY_BLOCKED_CONTACT", "FAILURE_BY_OPTOUT_CONTACT"],
        &["blocked by the company", "exclusion option"],
    ),
    state(
        "invalid_number",
        "not a valid WhatsApp number",
        Some("correct the number"),
        &["INVALID_PHONE"],
        &["whatsapp number is invalid", "phone number is invalid"],
    ),
    state(
        "missing_variable",
        "a variable of the template is missing, does not match or is too long",
        Some("fill or correct the template's variables"),
        &[
            "MISSING_PARAMETER",
            "PARAMETER_MISMATCH",
            "CHARACTER_LIMIT_HEADER",
            "CHARACTER_LIMIT_BODY",
        ],
        &[
            "variables and their value cannot be filled",
            "variable is misspelled",
            "have a value within the property",
            "variable doesnt exist",
        ],
    ),
    state(
        "template_paused",
        "the template is paused or disabled",
        Some("review and resubmit the template"),
        &["FAILURE_BY_DISABLED_HSM", "INVALID_POLL"],
        &["hsm can be paused", "hsm is paused", "template is paused", "marked as low quality"],
    ),
    state(
        "frequency_capped",
        "too many templates to this person in a short time",
        Some("wait 24 hours between templates"),
        &["FAILURE_BY_META_CHOSE_NOT_DELIVER", "FAILURE_BY_SPAM_RATE_LIMIT"],
        &["in a short period to the same contact", "blocked from receiving new templates"],
    ),
    state(
        "capacity_limited",
        "the account's sending limit was reached",
        Some("spread the sends, raise the tier"),
        &["FAILURE_BY_RATE_LIMIT", "COMPANY_RATE_LIMIT", "FAILURE_BY_TIER_CAPACITY"],
        &[],
    ),
    state(
        "experiment",
        "number is in one of Meta's experiments",
        None,
        &["FAILURE_BY_EXPERIMENT_NUMBER"],
        &[],
    ),
    state(
        "system_failure",
        "a general failure of the system",
        Some("contact support"),
        &["FAILURE"],
        &["general system failure"],
    ),
    state("other_failure", "any other reason", None, &[], &[]),
];

/// The state of that name.
pub fn by_name(name: &str) -> Option<&'static State> {
    STATES.iter().find(|state| state.name == name)
}

/// The failed state for one of the vendor's failure codes, ignoring case and separators.
pub fn by_failure_code(word: &str) -> Option<&'static State> {
    let failures = &STATES[3..];
    // The common case, an exact match, needs no normalisation.
    let exact = failures.iter().find(|state| state.codes.contains(&word));
    exact.or_else(|| {
        let word = normalise(word);
        failures.iter().find(|state| state.codes.iter().any(|code| normalise(code) == word))
    })
}

/// The state of a deployment with a canonical `delivery_status` and a `status_detail`. The detail
/// matters only if the status is Failed.
///
/// ```
/// use wabalake_data::reference::deployment_states::of;
/// assert_eq!(of("Failed", Some("INVALID_PHONE")).unwrap().name, "invalid_number");
/// assert_eq!(of("Delivered", Some("INVALID_PHONE")).unwrap().name, "delivered");
/// ```
pub fn of(status: &str, detail: Option<&str>) -> Option<&'static State> {
    match status {
        "Delivered" => by_name("delivered"),
        "Sent" => by_name("sent"),
        "In Process" => by_name("in_process"),
        "Failed" => {
            let known =
                detail.and_then(|detail| by_failure_code(detail).or_else(|| by_sentence(detail)));
            known.or_else(|| by_name("other_failure"))
        }
        _ => None,
    }
}

fn by_sentence(detail: &str) -> Option<&'static State> {
    let detail = words(detail);
    STATES.iter().find(|state| state.sentences.iter().any(|sentence| detail.contains(sentence)))
}

/// Converts to lower case, without apostrophes, with single spaces for other punctuation.
fn words(text: &str) -> String {
    let plain: String = text
        .chars()
        .filter(|c| !matches!(c, '\'' | '’'))
        .map(|c| if c.is_alphanumeric() { c } else { ' ' })
        .collect();
    plain.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_code_maps_to_its_state() {
        for state in STATES.iter().skip(3) {
            for code in state.codes {
                assert_eq!(of("Failed", Some(code)), Some(state), "{code}");
            }
        }
    }

    #[test]
    fn sentences_of_the_dashboard_map_to_states() {
        let cases = [
            ("The user's WhatsApp number is invalid.", "invalid_number"),
            ("Not sent: the user has an active session with an agent", "active_agent_session"),
            ("A general system failure", "system_failure"),
            ("Line went away", "other_failure"),
            ("", "other_failure"),
        ];
        for (detail, state) in cases {
            assert_eq!(of("Failed", Some(detail)).map(|s| s.name), Some(state), "{detail}");
        }
        assert_eq!(of("Failed", None).map(|s| s.name), Some("other_failure"));
        assert_eq!(of("Enviado", None), None);
    }
}
