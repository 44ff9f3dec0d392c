//! Campaigns, impressions and clicks of ads.

use wabalake_data::tables::ad_spend;

use super::ad_spend::{load_exported, outcomes, restated, spend};
use crate::support::Bench;

/// What an ad is called and what it achieved, by ad and day.
const RESULTS: [&str; 9] = [
    "ad_id",
    "day",
    ad_spend::CAMPAIGN_ID,
    ad_spend::CAMPAIGN_NAME,
    ad_spend::AD_SET_ID,
    ad_spend::AD_SET_NAME,
    ad_spend::AD_NAME,
    ad_spend::IMPRESSIONS,
    ad_spend::CLICKS,
];

fn results(bench: &Bench) -> Vec<String> {
    bench.columns(&ad_spend::TABLE, &RESULTS, "|")
}

#[test]
fn campaigns_impressions_and_link_clicks_are_read_in_each_language() {
    let titles = [
        "Day,Campaign ID,Campaign name,Ad set ID,Ad set name,Ad ID,Ad name,Impressions,Clicks (all),\
         Link clicks,Amount spent (USD)",
        "Día;Identificador de la campaña;Nombre de la campaña;Identificador del conjunto de anuncios;\
         Nombre del conjunto de anuncios;Identificador del anuncio;Nombre del anuncio;Impresiones;\
         Clics (todos);Clics en el enlace;Importe gastado (USD)",
        "Dia;Identificação da campanha;Nome da campanha;Identificação do conjunto de anúncios;\
         Nome do conjunto de anúncios;Identificação do anúncio;Nome do anúncio;Impressões;\
         Cliques (todos);Cliques no link;Valor usado (USD)",
        "Jour;Identifiant de la campagne;Nom de la campagne;Identifiant de l'ensemble de publicités;\
         Nom de l'ensemble de publicités;Identifiant de la publicité;Nom de la publicité;Impressions;\
         Clics (tous);Clics sur un lien;Montant dépensé (USD)",
        "Tag;Kampagnen-ID;Kampagnenname;Anzeigengruppen-ID;Name der Anzeigengruppe;Anzeigen-ID;\
         Anzeigenname;Impressionen;Klicks (alle);Link-Klicks;Ausgegebener Betrag (USD)",
        "Tag;Kampagnen-ID;Kampagnenname;Anzeigengruppen-ID;Anzeigengruppenname;Anzeigen-ID;\
         Anzeigenname;Impressionen;Klicks (alle);Link-Klicks;Ausgegebener Betrag (USD)",
        "Jour;ID de campagne;Nom de la campagne;ID de l’ensemble de publicités;\
         Nom de l’ensemble de publicités;ID de publicité;Nom de la publicité;Impressions;\
         Clics (tous);Clics sur un lien;Montant dépensé (USD)",
    ];
    for (place, titles) in titles.into_iter().enumerate() {
        let bench = Bench::new();
        // The language decides how 1.234 and 1,234 are read.
        let row = match place {
            0 => "2025-06-01,71,June,72,All,7,Blue,\"1,234\",99,\"1,002\",1.50",
            _ => "2025-06-01;71;June;72;All;7;Blue;1.234;99;1.002;1,50",
        };
        let report = bench.load("ads.csv", format!("{titles}\n{row}\n"));
        assert_eq!(results(&bench), ["7|2025-06-01|71|June|72|All|Blue|1234|1002"], "{titles}");
        assert_eq!(spend(&bench), ["7 2025-06-01 USD 1.500000"]);
        assert_eq!(report.files[0].unknown_columns.len(), 1, "clicks of all sorts are not read");
    }
}

#[test]
fn impressions_and_clicks_are_spread_like_cents() {
    let bench = Bench::new();
    let text = "Reporting starts,Reporting ends,Ad ID,Campaign name,Impressions,Link clicks,Amount spent (USD)\n\
                2025-06-01,2025-06-03,7,June,100,2,10.00\n\
                2025-06-01,2025-06-03,8,June,,0,10.00\n\
                2025-06-01,2025-06-03,,,100,2,20.00\n";
    bench.load("periods.csv", text);
    let days = [
        "7|2025-06-01||June||||34|1",
        "7|2025-06-02||June||||33|1",
        "7|2025-06-03||June||||33|0",
        "8|2025-06-01||June|||||0",
        "8|2025-06-02||June|||||0",
        "8|2025-06-03||June|||||0",
    ];
    assert_eq!(results(&bench), days);
}

#[test]
fn impressions_and_clicks_of_a_breakdown_are_added_up() {
    let header =
        "Day,Ad ID,Ad name,Campaign ID,Platform,Impressions,Link clicks,Amount spent (USD)\n";
    let rows = [
        "2025-06-01,7,Blue,71,facebook,100,5,10.00\n",
        "2025-06-01,7,Blue,71,instagram,50,,7.50\n",
        "2025-06-01,7,Blue,71,instagram,50,,7.50\n",
        // Renamed, and without a campaign: it is the same ad.
        "2025-06-01,7,Red,,audience_network,1,2,0.00\n",
        "2025-06-01,8,Blue,71,facebook,,,1.00\n",
        "2025-06-01,8,Blue,71,instagram,,,1.00\n",
    ];
    for turned in [false, true] {
        let bench = Bench::new();
        let mut rows = rows.to_vec();
        if turned {
            rows.reverse();
        }
        let report = bench.load("platforms.csv", format!("{header}{}", rows.concat()));
        assert_eq!(outcomes(&report.files[0]), [2, 0, 1, 0, 3]);
        let kept = ["7|2025-06-01|71||||Red|151|7", "8|2025-06-01|71||||Blue||"];
        assert_eq!(results(&bench), kept);
        assert_eq!(spend(&bench)[0], "7 2025-06-01 USD 17.500000");
    }
}

#[test]
fn more_impressions_then_clicks_decide_between_equal_amounts() {
    let text = |spend: &str, impressions: &str, clicks: &str, name: &str| {
        format!(
            "Day,Ad ID,Ad name,Impressions,Link clicks,Amount spent (USD)\n\
             2025-06-01,7,{name},{impressions},{clicks},{spend}\n"
        )
    };
    // Each is preferred to the one before.
    let files = [
        text("1", "", "", "z"),
        text("1", "", "9", "y"),
        text("1", "100", "", "x"),
        text("1", "100", "1", "w"),
        text("1", "101", "0", "v"),
        text("2", "5", "0", "u"),
    ];
    for (less, more) in files.iter().zip(&files[1..]) {
        for order in [[less, more], [more, less]] {
            let bench = Bench::new();
            for (place, text) in order.into_iter().enumerate() {
                bench.load(&format!("{place}.csv"), text);
            }
            let expected = more.lines().last().unwrap().split(',').nth(2).unwrap();
            assert_eq!(bench.columns(&ad_spend::TABLE, &[ad_spend::AD_NAME], ""), [expected]);
            // Impressions and clicks are no amounts: only these are restated.
            let differ = less.ends_with(",1\n") && more.ends_with(",2\n");
            assert_eq!(restated(&bench), if differ { "1 1" } else { "1 0" });
        }
    }
}

#[test]
fn counts_too_large_fail_the_load() {
    let bench = Bench::new();
    let text = "Day,Ad ID,Age,Impressions,Amount spent (USD)\n\
                2025-06-01,7,a,9223372036854775807,1\n2025-06-01,7,b,1,1\n";
    let error = load_exported(&bench, "great.csv", text, "").unwrap_err();
    let said = error.lines();
    assert!(said.contains("more than `impressions` can hold"), "{said}");
    assert!(spend(&bench).is_empty());
}
