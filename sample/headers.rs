//! The header cells of each export: field names, or the titles in the vendors' documents.

use wabalake_data::tables::{Column, Table, USER_ID, deployments, messages, sessions};

/// Columns of a table that its vendor's export does not have: other sources fill them.
const NOT_EXPORTED: [&str; 11] = [
    messages::ERROR_CODE,
    messages::PRICING_TYPE,
    messages::PRICING_CATEGORY,
    messages::REFERRAL_TYPE,
    messages::REFERRAL_ID,
    messages::REFERRAL_HEADLINE,
    messages::CTWA_CLID,
    messages::CONTEXT_ID,
    messages::BUTTON_PAYLOAD,
    messages::REACTION,
    USER_ID,
];

/// The columns of the vendor's export of a table, in its order.
pub fn columns(table: &Table) -> impl Iterator<Item = &'static Column> + Clone {
    table.exported().filter(|column| !NOT_EXPORTED.contains(&column.name))
}

/// The header cell of a column in its vendor's export.
pub(super) fn header(table: &Table, column: &str, titles: bool) -> String {
    if table.name == messages::NAME {
        return match column {
            messages::WABA_ID => "WABA ID".to_owned(),
            messages::COUNTRY_NAME => "COUNTRY".to_owned(),
            _ => column.to_uppercase(),
        };
    }
    if !titles {
        return column.to_owned();
    }
    let title = match column {
        sessions::LINE_WHATSAPP_NUMBER => "Line/WhatsApp Number",
        sessions::LINE_WHATSAPP_DISPLAY_NAME => "Line/WhatsApp Display Name",
        deployments::DEPLOYMENT_TIMESTAMP => "Deployment Start Timestamp",
        deployments::USER_RESPONDED_TIMESTAMP => "User response timestamp",
        deployments::DELIVERY_STATUS => "Deployment Status",
        _ => return column.split('_').map(title_word).collect::<Vec<_>>().join(" "),
    };
    title.to_owned()
}

fn title_word(word: &str) -> String {
    match word {
        "id" | "url" => word.to_uppercase(),
        "whatsapp" => "WhatsApp".to_owned(),
        _ => word[..1].to_uppercase() + &word[1..],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TABLES;

    #[test]
    fn every_header_names_only_its_column() {
        for table in TABLES {
            for titles in [false, true] {
                for column in columns(table) {
                    let header = header(table, column.name, titles);
                    let named: Vec<_> = table.exported().filter(|c| c.is_named(&header)).collect();
                    assert_eq!(named.len(), 1, "{header}");
                    assert_eq!(named[0].name, column.name);
                }
            }
        }
    }

    #[test]
    fn titles_equal_those_of_the_vendors_documents() {
        let title = |column| header(&sessions::TABLE, column, true);
        assert_eq!(title(sessions::SESSION_ID), "Session ID");
        assert_eq!(title(sessions::WHATSAPP_LINK_CAMPAIGN_NAME), "WhatsApp Link Campaign Name");
        assert_eq!(title(sessions::META_SOURCE_MEDIA_URL), "Meta Source Media URL");
    }
}
