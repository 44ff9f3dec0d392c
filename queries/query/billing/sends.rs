//! What sends cost: `--cost` of queries about deployments and about messages.
//!
//! ```text
//! deployment                  --cost utility, where Mexico has a price from the second unit on
//! Mexico, 2 June, delivered   unit 1 of June: the price of any country
//! Mexico, 2 June, failed      no unit
//! Mexico, 3 June, delivered   unit 2 of June: Mexico's price
//! ```
//!
//! Each delivered deployment is a message of the category that is asked for. All are charged, on their local
//! date, and numbered over the whole lake, before any filter. Messages have the price that
//! [`pricing`](super::pricing) gives them. With `--cost matched`, a delivered deployment has the price of the
//! message that it is [paired](crate::query::same_sends) with. Without a delivered one it has no rate.
//!
//! A group costs the sum of its units. Its cost is null without units, if a unit has no rate, and if rates are
//! in several currencies; [`COST_CURRENCY`] then names each currency that a unit is priced in.

use clap::{Args, Error};
use polars::prelude::{
    Expr, JoinArgs, JoinType, LazyFrame, Null, PolarsResult, SortOptions, col, lit, when,
};
use wabalake_data::tables::deployments::{
    self, CONVERSATION_ID, CONVERSATION_VERSION, DEPLOYMENT_TIMESTAMP, USER_PHONE,
};
use wabalake_data::tables::messages::{self, TEMPLATE_CATEGORIES, WHATSAPP_ID};
use wabalake_data::tables::rates::CATEGORY;
use wabalake_data::tables::{CURRENCY, markets, rates, sessions};
use wabalake_data::{Invalid, Table};

use super::money::{self, COST};
use super::prices::{self, DATED, UnitsSql};
use super::pricing::deliveries;
use super::rules::PricingOptions;
use crate::kernels::ordinals::{PLACE, place_in_time};
use crate::query::measures::{delivery_is, from_millionths, ratio};
use crate::query::monthly::{count_by_month, count_deliveries};
use crate::query::same_sends::{self, SEND_KEY, TOLERANCE_SECONDS};
use crate::query::sql::Bindings;
use crate::query::tables::Tables;
use crate::query::time::{Clock, Invalidation, Span};
use crate::query::usage::misfit;
use crate::query::words::Word;
use crate::query::{
    DayRange, Defaults, Filtered, Filters, NeedsTables, OutputColumn, Range, Shape,
};

/// The column of the currency of a group's cost. Several are joined by `+`.
pub const COST_CURRENCY: &str = "cost_currency";
/// The column of the cost for each unit that was answered.
pub const COST_PER_REPLY: &str = "cost_per_reply";
/// The column of the cost for each session that converted.
pub const COST_PER_CONVERSION: &str = "cost_per_conversion";

/// The tables of prices, which are read for all costs.
pub const TABLES: &[&Table] = &[&rates::TABLE, &markets::TABLE];

/// The units of the SQL fragment `{sends}`.
const UNITS: UnitsSql = UnitsSql {
    numbered: "numbered_sends",
    unit: "numbered_sends.country, numbered_sends.month_of_send, numbered_sends.number",
    category: ":sent_category",
    card: "rates",
};

/// The column of the month of a deployment.
const MONTH: &str = "month_of_send";

/// A column that is the same in all rows, so that rows without dimensions are a group, too.
const ALL: &str = "all_units";

/// The value of `--cost` that prices a deployment as the message that it is paired with.
const MATCHED: &str = "matched";

/// The values of `--cost`.
fn ways_to_price() -> impl Iterator<Item = &'static str> {
    TEMPLATE_CATEGORIES.into_iter().chain([MATCHED])
}

/// `--cost CATEGORY`: deployments priced as messages of one category, or as the messages that they
/// are paired with; and the options of the prices of these.
#[derive(Args, Clone, Debug)]
pub struct SendCosts {
    /// Add what the sends cost: each delivered deployment is priced as a message of this category, or,
    /// with `matched`, as its message in same-send [default: no costs]
    #[arg(long, value_name = "CATEGORY", value_parser = Word::listed(ways_to_price()))]
    cost: Option<String>,

    #[command(flatten)]
    pricing: PricingOptions,
}

impl SendCosts {
    /// Fills in the defaults.
    ///
    /// # Errors
    /// Options of prices of messages without `--cost matched`; prices that exclude each other.
    pub fn resolve(&mut self, defaults: &Defaults) -> Result<(), Error> {
        if !self.are_matched() && self.pricing.are_given() {
            let fault = Invalid::new("options of prices change nothing without `--cost matched`");
            return Err(misfit(fault.hint("add `--cost matched`, or leave them out")));
        }
        self.pricing.resolve(defaults)
    }

    /// Returns `true` if costs are asked for.
    pub fn are_asked(&self) -> bool {
        self.cost.is_some()
    }

    /// Returns `true` if deployments are priced as the messages that they are paired with.
    fn are_matched(&self) -> bool {
        self.cost.as_deref() == Some(MATCHED)
    }

    /// What `--from` and `--to` restrict: with costs no table, because earlier deployments of a month
    /// count for the numbers, and deployments near the range for the pairs.
    pub fn range(&self, of: Range) -> Range {
        if self.are_asked() { Range::History } else { of }
    }

    /// How a changed row of a table affects an answer: all of it, but that of a table which is read only for
    /// other costs does not.
    pub fn invalidation(&self, table: &Table) -> Vec<Invalidation> {
        invalidation(self, table)
    }

    /// The delivered deployments of the range, priced, with all columns of theirs and those of
    /// [`money::charged`]. None if costs are not asked for.
    ///
    /// # Errors
    /// Those of building a plan.
    pub fn sends(&self, tables: &Tables, days: &DayRange) -> PolarsResult<Option<LazyFrame>> {
        let within = days.span();
        match self.cost.as_deref() {
            None => Ok(None),
            Some(MATCHED) => matched(tables, within, self.pricing).map(Some),
            Some(category) => Ok(Some(priced(tables, within, category))),
        }
    }

    /// Adds the columns of costs to the shape of an answer.
    pub fn shape(&self, shape: Shape, sql: &CostSql) -> Shape {
        match self.cost.as_deref() {
            None => shape,
            Some(MATCHED) => sql.beside(shape, "matched_sends"),
            Some(_) => sql.beside(shape, "sends"),
        }
    }

    /// Binds the parameters of the SQL fragment `{sends}` or `{matched_sends}`, and fills its slots.
    pub fn bind<Q: Filtered>(&self, bindings: Bindings, filters: &Filters<Q>) -> Bindings {
        let bindings = match self.cost.as_deref() {
            None => return bindings,
            Some(MATCHED) => {
                self.pricing.bind(bindings).integer("tolerance_seconds", TOLERANCE_SECONDS)
            }
            Some(category) => UNITS.bind(bindings).text("sent_category", category),
        };
        filters.bind_relation(bindings, "offered_sends", &deployments::TABLE)
    }
}

/// Windows of entry points need sessions, too. These are read for every answer that may have costs of sends.
impl NeedsTables for SendCosts {
    fn tables(&self) -> &'static [&'static Table] {
        const { &[&rates::TABLE, &markets::TABLE, &messages::TABLE] }
    }

    fn is_read(&self, table: &Table) -> bool {
        if TABLES.contains(&table) { self.are_asked() } else { self.are_matched() }
    }
}

/// `--cost` of messages, and the options of their prices.
#[derive(Args, Clone, Copy, Debug)]
pub struct MessageCosts {
    /// Add what the delivered messages cost
    #[arg(long)]
    cost: bool,

    #[command(flatten)]
    pricing: PricingOptions,
}

impl MessageCosts {
    /// Fills in the defaults.
    ///
    /// # Errors
    /// Options of prices without `--cost`; prices that exclude each other.
    pub fn resolve(&mut self, defaults: &Defaults) -> Result<(), Error> {
        if !self.cost && self.pricing.are_given() {
            let fault = Invalid::new("options of prices change nothing without `--cost`");
            return Err(misfit(fault.hint("add `--cost`, or leave them out")));
        }
        self.pricing.resolve(defaults)
    }

    /// How a changed row of a table affects an answer: all of it, but that of a table which is read only for
    /// other costs does not.
    pub fn invalidation(&self, table: &Table) -> Vec<Invalidation> {
        invalidation(self, table)
    }

    /// Adds the columns of costs to the shape of an answer.
    pub fn shape(&self, shape: Shape, sql: &CostSql) -> Shape {
        if self.cost { sql.beside(shape, "deliveries") } else { shape }
    }

    /// Adds costs to an answer; see [`with_costs`].
    ///
    /// `asked` returns the messages that the answer counts, of those in the tables, with the columns `by` of
    /// its groups. A message may occur in several groups.
    ///
    /// # Errors
    /// Those of building a plan.
    pub fn added_to<F>(
        &self,
        answer: LazyFrame,
        by: Vec<Expr>,
        per: &[Per],
        asked: F,
        days: &DayRange,
        tables: &Tables,
    ) -> PolarsResult<LazyFrame>
    where
        F: Fn(&Tables) -> LazyFrame + Send + Sync + 'static,
    {
        if !self.cost {
            return Ok(answer);
        }
        let of_group = by.clone();
        let count = move |units: LazyFrame, created: &Tables| {
            let id = [col(WHATSAPP_ID)];
            let asked = asked(created).select([&id[..], &of_group[..]].concat());
            let units = units.select([&id[..], &money::CHARGES.map(col)[..]].concat());
            let priced = asked.join(units, &id, &id, JoinArgs::new(JoinType::Inner));
            Ok(by_currency(priced, &of_group, &[]))
        };
        let charges = count_deliveries(tables, days.span(), self.pricing, count)?;
        Ok(with_costs(answer, charges, &by, per))
    }

    /// Binds the parameters of the SQL fragment `{deliveries}`.
    pub fn bind(&self, bindings: Bindings) -> Bindings {
        if self.cost { self.pricing.bind(bindings) } else { bindings }
    }
}

impl NeedsTables for MessageCosts {
    fn tables(&self) -> &'static [&'static Table] {
        const { &[&rates::TABLE, &markets::TABLE, &sessions::TABLE] }
    }

    fn is_read(&self, table: &Table) -> bool {
        self.cost && (TABLES.contains(&table) || self.pricing.is_read(table))
    }
}

/// The name of a column of cost per something, and the column that counts it.
pub type Per<'a> = (&'static str, &'a str);

/// Adds [`COST`], [`COST_CURRENCY`] and the columns `per` to groups.
///
/// Units have the columns `by`, which identify a group, and those of [`money::charged`].
pub fn with_costs(groups: LazyFrame, units: LazyFrame, by: &[Expr], per: &[Per]) -> LazyFrame {
    let key = [by, &[col(ALL)]].concat();
    let cost = from_millionths(money::millionths(col(COST))).alias(COST);
    let costs = costs(units, by, &[]).with_column(cost);
    let known = JoinArgs { nulls_equal: true, ..JoinArgs::new(JoinType::Left) };
    let per: Vec<Expr> =
        per.iter().map(|(name, count)| ratio(col(COST), col(*count)).alias(*name)).collect();
    groups.with_column(lit(true).alias(ALL)).join(costs, &key, &key, known).with_columns(per)
}

/// The sums of units by group: [`COST`] as money, [`COST_CURRENCY`], and the columns `counts`. A group without
/// units has no row.
pub fn costs(units: LazyFrame, by: &[Expr], counts: &[&str]) -> LazyFrame {
    let key = [by, &[col(ALL)]].concat();
    let mut sums = money::charges().to_vec();
    sums.push(col(CURRENCY).sort(SortOptions::default()).str().join("+", true));
    sums.extend(counts.iter().map(|count| col(*count).sum()));
    let is_known = money::charged_in().is_not_null().and(col(CURRENCY).neq(lit(money::UNKNOWN)));
    let currency = when(is_known).then(col(CURRENCY)).otherwise(lit(Null {}));
    let found = [money::cost().alias(COST), currency.alias(COST_CURRENCY)];
    let counted: Vec<Expr> = counts.iter().map(|count| col(*count)).collect();
    let columns = [&key[..], &found, &counted].concat();
    by_currency(units, by, counts).group_by(&key).agg(sums).select(columns)
}

/// Sums the columns of [`money::charged`] and `counts` by group and currency, null for units without a price. Sums
/// may be summed again.
pub fn by_currency(units: LazyFrame, by: &[Expr], counts: &[&str]) -> LazyFrame {
    let key = [by, &[col(ALL), money::charged_in().alias(CURRENCY)]].concat();
    let sums = money::charges().into_iter().chain(counts.iter().map(|count| col(*count).sum()));
    units.with_column(lit(true).alias(ALL)).group_by(key).agg(sums.collect::<Vec<_>>())
}

/// The delivered deployments of an interval as messages of a category, with their price.
fn priced(tables: &Tables, within: Span, category: &str) -> LazyFrame {
    let is_delivered = || delivery_is("Delivered");
    let local = |clock: Clock| clock.start(col(DEPLOYMENT_TIMESTAMP), within.timezone);
    // Deployments since the start of the month count for the number.
    let month = within.from.map(|from| Clock::Month.floor(within.timezone, from));
    let of_the_month = Span { from: month, ..within };
    let ties = [USER_PHONE, CONVERSATION_ID, CONVERSATION_VERSION].map(col);
    let sends = of_the_month.scan(tables, &deployments::TABLE);
    let sends = sends.filter(is_delivered()).with_columns([
        local(Clock::Day).alias(DATED),
        local(Clock::Month).alias(MONTH),
        lit(category).alias(CATEGORY),
        place_in_time(col(DEPLOYMENT_TIMESTAMP), &ties).alias(PLACE),
    ]);
    let sends = prices::in_markets(sends, tables);
    let numbered = prices::numbered(sends, is_delivered(), 1, MONTH);
    let priced = prices::priced(numbered, tables).with_columns(money::charged(is_delivered()));
    match within.holds(&col(DEPLOYMENT_TIMESTAMP)) {
        Some(sent_within) => priced.filter(sent_within),
        None => priced,
    }
}

/// The delivered deployments of an interval, with the price of the delivered message of their pair.
fn matched(tables: &Tables, within: Span, options: PricingOptions) -> PolarsResult<LazyFrame> {
    let near = same_sends::around(within, TOLERANCE_SECONDS);
    let what = format!("prices of paired messages by month: {near:?} {options:?}");
    let prices = count_by_month(tables, near, &what, move |tables, part| {
        let id = [col(WHATSAPP_ID)];
        let units = deliveries(tables, part, &options)?;
        let units = units.select([&id[..], &money::CHARGES.map(col)].concat());
        let pairs = same_sends::pairs(tables, part, TOLERANCE_SECONDS, &[])?;
        let priced = pairs.join(units, &id, &id, JoinArgs::new(JoinType::Inner));
        Ok(priced.select([&[col(SEND_KEY)][..], &money::CHARGES.map(col)].concat()))
    })?;
    let sends = within.scan(tables, &deployments::TABLE).filter(delivery_is("Delivered"));
    let sends = sends.with_column(same_sends::send_key());
    let key = [col(SEND_KEY)];
    // A deployment without such a message is charged, and nobody knows how much.
    let unpriced = col(money::UNPRICED).fill_null(lit(1_i64));
    Ok(sends.join(prices, &key, &key, JoinArgs::new(JoinType::Left)).with_column(unpriced))
}

fn invalidation(costs: &dyn NeedsTables, table: &Table) -> Vec<Invalidation> {
    let matters = !costs.tables().contains(&table) || costs.is_read(table);
    matters.then_some(Invalidation::Answer).into_iter().collect()
}

/// The sends by the dimensions of a query, for [`CostSql::units`].
pub const SENDS: &str = "SELECT {by_then}cost, charged_in
FROM sends
{tagged}";

/// How costs are added to the twin of an answer: the twin becomes a table beside the costs.
#[derive(Debug)]
pub struct CostSql {
    /// The columns that identify a group of units. The answer has them, too.
    pub by: Vec<&'static str>,
    /// A query for the units: the columns `by`, `cost` and `charged_in` of each.
    pub units: &'static str,
    /// The rows of the answer that have a cost: a predicate over `here`.
    pub rows: &'static str,
    /// The columns of cost per something, each with the SQL of what counts it.
    pub per: Vec<(&'static str, String)>,
}

impl CostSql {
    /// For an answer whose rows are the groups, and which counts in columns.
    pub fn of(by: &[OutputColumn], key: &[&'static str], units: &'static str, per: &[Per]) -> Self {
        let mut names: Vec<&'static str> = by.iter().map(|column| column.name).collect();
        names.extend(key.iter().filter(|name| by.iter().all(|column| column.name != **name)));
        let per = per.iter().map(|(name, count)| (*name, format!("here.{count}"))).collect();
        Self { by: names, units, rows: "1 = 1", per }
    }

    /// The shape of an answer with costs, which a fragment prices.
    fn beside(&self, shape: Shape, fragment: &str) -> Shape {
        let Self { by, units, rows, per } = self;
        let twin = &*shape.sql;
        // The rows are sorted once, at the end.
        let (answer, order) = twin.rsplit_once("\nORDER BY").unwrap_or((twin, " 1"));
        let of_group = by.iter().map(|name| format!("{name} AS of_{name},\n        "));
        let groups = by.join(", ");
        let groups = if by.is_empty() { groups } else { format!("GROUP BY {groups}") };
        let matches = by.iter().map(|name| format!("\n    AND here.{name} <=> there.of_{name}"));
        let ratios = per.iter().map(|(name, count)| {
            format!(",\n    CAST(there.cost AS DOUBLE) / nullif({count}, 0) AS {name}")
        });
        let sql = include_str!("../sql/costs.sql")
            .replace("{priced}", &format!("{{{fragment}}}"))
            .replace("{of_group_then}", &of_group.collect::<String>())
            .replace("{group_units}", &groups)
            .replace("{matches}", &format!("{rows}{}", matches.collect::<String>()))
            .replace("{per}", &ratios.collect::<String>())
            .replace("{order}", order.trim_end())
            .replace("{units}", &units.replace('\n', "\n        "))
            .replace("{answer}", &answer.replace('\n', "\n    "));
        let mut columns = shape.columns;
        columns.extend([OutputColumn::number(COST), OutputColumn::term(COST_CURRENCY)]);
        columns.extend(per.iter().map(|(name, _)| OutputColumn::number(name)));
        Shape { columns, sql: sql.into(), ..shape }
    }
}

#[cfg(test)]
mod tests {
    use polars::prelude::{IntoLazy, SortMultipleOptions, df};
    use wabalake_data::tables::rates::PRICE;

    use super::*;
    use crate::query::ENGINE;

    /// Groups: a free unit, a price and a free unit, three currencies, a unit without a rate, a price in no known
    /// currency, no unit.
    #[test]
    fn cost_is_null_where_it_is_unknown_and_currencies_are_named() {
        let (none, usd) = (None::<&str>, Some("USD"));
        let units = df![
            "group" => ["a", "b", "b", "c", "c", "c", "d", "d", "e"],
            "charged" => [false, true, false, true, true, true, true, true, true],
            PRICE => [None, Some(3), None, Some(1), Some(1), Some(1), Some(1), None, Some(4)],
            CURRENCY => [none, usd, none, Some("EUR"), Some("COP"), none, usd, none, none],
        ];
        let units = units.unwrap().lazy().with_columns(money::charged(col("charged")));
        let groups = df![
            "group" => ["a", "b", "c", "d", "e", "f"],
            "replied" => [1, 2, 1, 1, 0, 1],
        ];
        let per = [(COST_PER_REPLY, "replied")];
        let costs = with_costs(groups.unwrap().lazy(), units, &[col("group")], &per)
            .sort(["group"], SortMultipleOptions::default())
            .collect_with_engine(ENGINE)
            .unwrap()
            .unwrap_single();
        let number = |name| costs.column(name).unwrap().f64().unwrap().iter().collect::<Vec<_>>();
        assert_eq!(number(COST), [Some(0.0), Some(3.0), None, None, Some(4.0), None]);
        assert_eq!(number(COST_PER_REPLY), [Some(0.0), Some(1.5), None, None, None, None]);
        let named = costs.column(COST_CURRENCY).unwrap().str().unwrap().iter();
        assert_eq!(named.collect::<Vec<_>>(), [none, usd, Some("?+COP+EUR"), usd, none, none]);
    }
}
