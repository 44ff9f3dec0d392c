//! Marts of costs, whose rows depend on rates and markets of any date.

use polars::prelude::*;

use super::computed;
use crate::support::Bench;

const COSTS: &str = "
[[marts]]
name = 'costs'
query = 'pricing-analytics'
params = { granularity = 'month', dimensions = ['COUNTRY'] }
";

const MESSAGES: &str = "waba_id,whatsapp_id,from,to,message_direction,source,format,template_name,\
                        created_at,sent_at,delivered_at,pricing_category
1,m1,573000000001,573005550101,false,api,template,promo,2026-10-05 12:00:00,2026-10-05 12:00:01,2026-10-05 12:00:02,marketing
";

const RATES: &str = "effective_from,market,category,tier_from,price,currency
2026-10-01,Colombia,marketing,0,0.25,USD
2026-10-01,Other,marketing,0,0.75,USD
";

/// Moves Colombia to the market Other.
const MARKETS: &str = "country,market,valid_from\nCO,Other,2026-10-01\n";

#[test]
fn mart_of_costs_is_rebuilt_after_new_rates_and_markets() {
    let bench = Bench::with_settings(COSTS);
    let cost = || {
        let mart = bench.mart("costs");
        let costs = mart.column("cost").unwrap().cast(&DataType::Float64).unwrap();
        assert_eq!(costs.len(), 1, "{mart}");
        costs.f64().unwrap().get(0)
    };
    bench.load_export(MESSAGES);
    bench.run_nightly();
    assert_eq!(cost(), None);
    let exports =
        [(RATES, "`rates` changed", Some(0.25)), (MARKETS, "`markets` changed", Some(0.75))];
    for (export, why, costs) in exports {
        bench.load_export(export);
        let report = bench.run_nightly();
        assert_eq!(report.marts[0].why, why);
        assert_eq!(computed(&report)["costs"].0, "all");
        assert_eq!(cost(), costs);
        bench.check_marts().unwrap();
    }
}
