//! Meta's error codes of messages that failed, each with its state.
//!
//! Source: Meta's list of error codes of the WhatsApp Cloud API. The states are those of deployments,
//! with their meaning and advice: see [`STATES`](super::deployment_states::STATES).

/// The state of a code that is not listed, or of a message without one.
pub const OTHER: &str = "other_failure";

/// The listed codes, each with its state.
pub const CODES: [(i32, &str); 15] = [
    // The person cannot be reached.
    (131_026, "blocked_or_outdated"),
    // The person stopped marketing messages.
    (131_050, "excluded"),
    // Too many marketing messages to the person; a line of low quality.
    (131_049, "frequency_capped"),
    (131_048, "frequency_capped"),
    // Too many calls of the API; too many messages to one person at once.
    (130_429, "capacity_limited"),
    (131_056, "capacity_limited"),
    // The person is in an experiment.
    (130_472, "experiment"),
    // Variables: how many, too long, in a wrong format, of a wrong type.
    (132_000, "missing_variable"),
    (132_005, "missing_variable"),
    (132_012, "missing_variable"),
    (132_018, "missing_variable"),
    // The template is paused; disabled.
    (132_015, "template_paused"),
    (132_016, "template_paused"),
    // Something went wrong; the service is not available.
    (131_000, "system_failure"),
    (131_016, "system_failure"),
];

#[cfg(test)]
mod tests {
    use super::super::deployment_states::by_name;
    use super::*;

    #[test]
    fn every_code_has_one_known_state() {
        let states = CODES.iter().map(|(_, state)| *state).chain([OTHER]);
        for state in states {
            assert!(by_name(state).is_some(), "{state}");
        }
        let mut codes = CODES.map(|(code, _)| code);
        codes.sort_unstable();
        assert!(codes.windows(2).all(|pair| pair[0] < pair[1]), "a code is listed twice");
    }
}
