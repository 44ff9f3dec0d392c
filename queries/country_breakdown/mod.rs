//! How do the countries compare?
//!
//! One row for each country of a deployment's person, or of the person of an inbound session; where
//! it is not known, the null country. What a delivered deployment sparked is found in the whole
//! lake by the session it names, and counts once for each deployment that names it. Inbound
//! sessions are those that started in the range, whoever was sent to.

use polars::prelude::{JoinCoalesce, NamedFrom, Series};
use wabalake_data::reference::countries;
use wabalake_data::tables::deployments::{self, COUNTRY};
use wabalake_data::tables::{SESSION_KEY, sessions};

use crate::query::prelude::*;
use crate::query::sql::SqlLiteral;

/// See the [module](self) for the question it answers.
pub struct CountryBreakdown;

/// What may be chosen.
#[derive(Args, Debug)]
pub struct Params {
    #[command(flatten)]
    days: DayRange,
    #[command(flatten)]
    conversions: Conversions,
}

const DURATION: &str = "duration";
const NAME: &str = "country_name";

impl Query for CountryBreakdown {
    type Params = Params;

    const CARD: Card = Card {
        name: "country-breakdown",
        title: "How the countries compare",
        question: "How do the countries compare? Deployments by the country of their person, what \
                   the delivered ones sparked, and the inbound sessions beside them.",
        reads: &[&deployments::TABLE, &sessions::TABLE],
        range: Range::Rows,
        columns: &[
            OutputColumn::text(COUNTRY),
            OutputColumn::text(NAME),
            OutputColumn::count("deployments"),
            OutputColumn::count("delivered"),
            OutputColumn::pct("delivered_pct"),
            OutputColumn::count("sessions_created"),
            OutputColumn::pct("click_through_pct"),
            OutputColumn::count("replied"),
            OutputColumn::pct("reply_pct"),
            OutputColumn::count("inbound_sessions"),
            OutputColumn::seconds("avg_session_seconds"),
            OutputColumn::count("converted_sessions"),
            OutputColumn::pct("conversion_pct"),
            OutputColumn::money("revenue"),
            OutputColumn::text("revenue_currency"),
        ],
        key: &[COUNTRY],
        order: &[Order::Descending("deployments")],
        chart: Some(Chart::Bars { x: COUNTRY, y: "deployments" }),
        engine: Engine::Streaming,
        example: "--from 2025-06-01 --to 2025-06-30",
        sql: include_str!("twin.sql"),
    };

    fn plan(tables: &Tables, params: &Params) -> PolarsResult<LazyFrame> {
        let delivered = || delivery_is("Delivered");
        let created = || delivered().and(col(SESSION_KEY).is_not_null());
        let deployments = params.days.scan(tables, &deployments::TABLE);
        let sent_to = deployments.clone().group_by([col(COUNTRY)]).agg([
            rows().alias("deployments"),
            rows_where(delivered()).alias("delivered"),
            rows_where(created()).alias("sessions_created"),
            rows_where(delivered().and(answered())).alias("replied"),
        ]);
        // Apart from the counts, so that the join meets only deployments that can find a session.
        let lasting = tables
            .scan(&sessions::TABLE)
            .select([col(SESSION_KEY), session_duration().alias(DURATION)])
            .filter(col(DURATION).is_not_null());
        let on = [col(SESSION_KEY)];
        let sparked = deployments
            .filter(created())
            .select([col(COUNTRY), col(SESSION_KEY)])
            .join(lasting, &on, &on, JoinArgs::new(JoinType::Inner))
            .group_by([col(COUNTRY)])
            .agg([average_seconds(DURATION).alias("avg_session_seconds")]);
        let writing = params
            .days
            .scan(tables, &sessions::TABLE)
            .filter(col(sessions::SESSION_TYPE).eq(lit("Inbound")))
            .group_by([col(COUNTRY)])
            .agg([rows().alias("inbound_sessions")]);

        let all = JoinArgs {
            coalesce: JoinCoalesce::CoalesceColumns,
            nulls_equal: true,
            ..JoinArgs::new(JoinType::Full)
        };
        let counts =
            ["deployments", "delivered", "sessions_created", "replied", "inbound_sessions"];
        let of_country = [col(COUNTRY)];
        let known = JoinArgs { nulls_equal: true, ..JoinArgs::new(JoinType::Left) };
        let countries = sent_to
            .join(sparked, &of_country, &of_country, known)
            .join(writing, &of_country, &of_country, all)
            .with_columns(counts.map(|count| col(count).fill_null(lit(0))));

        let (codes, names): (Vec<_>, Vec<_>) = countries::all().unzip();
        let name = col(COUNTRY).replace_strict(
            lit(Series::new("code".into(), codes)),
            lit(Series::new(NAME.into(), names)),
            Some(lit(Null {})),
            Some(DataType::String),
        );
        Ok(countries.with_columns([
            name.alias(NAME),
            share_pct(col("delivered"), col("deployments")).alias("delivered_pct"),
            share_pct(col("sessions_created"), col("delivered")).alias("click_through_pct"),
            share_pct(col("replied"), col("delivered")).alias("reply_pct"),
            lit(0).alias("converted_sessions"),
            share_pct(lit(0), col("sessions_created")).alias("conversion_pct"),
            lit(Null {}).alias("revenue"),
            lit(Null {}).alias("revenue_currency"),
        ]))
    }

    fn bind(params: &Params) -> Bindings {
        let names = countries::all()
            .map(|(code, name)| format!("({}, {})", code.literal(), name.literal()))
            .collect::<Vec<_>>();
        params.days.bind(Bindings::new()).slot("countries", names.join(",\n        "))
    }
}
