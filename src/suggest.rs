//! The nearest right word to a wrong one.

/// The candidate nearest to a word, if one is near.
///
/// ```
/// use wabalake::suggest::nearest;
/// assert_eq!(nearest("drop-of", ["drop-off", "funnel"]).as_deref(), Some("drop-off"));
/// assert_eq!(nearest("xyz", ["drop-off", "funnel"]), None);
/// ```
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let fold = wabalake_data::tables::fold_header;
    let score = |candidate: &str| strsim::jaro_winkler(&fold(word), &fold(candidate));
    let scored = candidates.into_iter().map(|candidate| (score(candidate), candidate));
    let best = scored.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|(score, _)| *score > 0.7);
    best.map(|(_, candidate)| candidate.to_owned())
}
