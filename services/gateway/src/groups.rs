//! Group read and search (E-12), so that a client can find what to export.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde_json::value::RawValue;
use sluice_auth::{Client, Permissions};
use sluice_fhir::parameters::{RawParameter, from_query};
use sluice_fhir::{Issue, IssueCode, ResourceType, shown};
use sluice_ports::{GroupPage, GroupQuery, PortError};

use crate::error::{ApiError, FHIR_JSON};
use crate::visit::Visit;
use crate::{Gateway, accept, routes};

/// Groups on a page unless `_count` says otherwise, and at most.
const PAGE: usize = 50;
const LARGEST_PAGE: usize = 500;
/// Values of one parameter.
const MOST_VALUES: usize = 100;

pub(crate) async fn read(
    gateway: web::Data<Gateway>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let visit = Visit::of(&gateway, &request).await?;
    accept::json(&request)?;
    let id = routes::group(&request)?;
    if !visit.caller.may(ResourceType::GROUP, Permissions::READ) {
        return Err(ApiError::ScopeTooNarrow);
    }
    if !visit.caller.may_see(id) {
        return Err(ApiError::UnknownGroup);
    }
    let found = visit.tenant.source.group(id).await?;
    let body = found.ok_or(ApiError::UnknownGroup)?;
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, FHIR_JSON))
        .streaming(body))
}

pub(crate) async fn search(
    gateway: web::Data<Gateway>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let visit = Visit::of(&gateway, &request).await?;
    accept::json(&request)?;
    if !visit.caller.may(ResourceType::GROUP, Permissions::SEARCH) {
        return Err(ApiError::ScopeTooNarrow);
    }
    let raw = from_query(request.query_string())?;
    let mut query = query(&raw)?;
    let page = if only_visible(&mut query, &visit) {
        visit.tenant.source.groups(&query).await?
    } else {
        GroupPage::default()
    };
    let base = gateway.base(&visit.id);
    let body = bundle(&base, &raw, &query, &page)?;
    Ok(json(body.into()))
}

/// Narrows a search to the groups that are there for the client; `false` when none is.
fn only_visible(query: &mut GroupQuery, visit: &Visit<'_>) -> bool {
    let Some(groups) = visit.caller.registered().and_then(Client::groups) else {
        return true;
    };
    if query.ids.is_empty() {
        query.ids = groups.iter().cloned().collect();
    } else {
        query.ids.retain(|id| groups.contains(id));
    }
    !query.ids.is_empty()
}

fn json(body: Bytes) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, FHIR_JSON))
        .body(body)
}

fn query(raw: &[RawParameter]) -> Result<GroupQuery, ApiError> {
    let mut query = GroupQuery {
        limit: PAGE,
        ..GroupQuery::default()
    };
    for RawParameter { name, value, .. } in raw {
        let many = || value.split(',').map(str::to_owned);
        match name.as_str() {
            "_id" => query.ids.extend(many()),
            "identifier" => query.identifiers.extend(many()),
            "name" => query.names.extend(many()),
            "_count" => query.limit = number(name, value)?.min(LARGEST_PAGE),
            "_offset" => query.offset = number(name, value)?,
            "_format" => {}
            _ => {
                let shown = shown(name);
                let text = format!(
                    "{shown:?} is no search parameter here; use _id, identifier, name or _count"
                );
                return Err(Issue::error(IssueCode::NotSupported, text).into());
            }
        }
    }
    for (name, values) in [
        ("_id", &query.ids),
        ("identifier", &query.identifiers),
        ("name", &query.names),
    ] {
        if values.len() > MOST_VALUES {
            let text =
                format!("{name} may have {MOST_VALUES} values at most; search more than once");
            return Err(Issue::error(IssueCode::TooLong, text).about(name).into());
        }
    }
    Ok(query)
}

fn number(name: &str, value: &str) -> Result<usize, ApiError> {
    value.parse().map_err(|_| {
        Issue::error(IssueCode::Invalid, format!("{name} must be a whole number"))
            .about(name)
            .into()
    })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Bundle<'a> {
    resource_type: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    total: usize,
    link: Vec<Link>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    entry: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Link {
    relation: &'static str,
    url: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    full_url: String,
    resource: &'a RawValue,
    search: Search,
}

#[derive(Serialize)]
struct Search {
    mode: &'static str,
}

fn bundle(
    base: &str,
    raw: &[RawParameter],
    query: &GroupQuery,
    page: &GroupPage,
) -> Result<Vec<u8>, PortError> {
    let broken = |error| PortError::permanent("writing a search result", error);
    let mut entry = Vec::new();
    for group in &page.groups {
        let resource: &RawValue = serde_json::from_slice(group).map_err(broken)?;
        let id: Named<'_> = serde_json::from_slice(group).map_err(broken)?;
        entry.push(Entry {
            full_url: format!("{base}/Group/{}", id.id),
            resource,
            search: Search { mode: "match" },
        });
    }
    let mut link = vec![Link {
        relation: "self",
        url: link(base, raw, query.offset),
    }];
    let next = query.offset + page.groups.len();
    if !page.groups.is_empty() && next < page.total {
        link.push(Link {
            relation: "next",
            url: self::link(base, raw, next),
        });
    }
    let bundle = Bundle {
        resource_type: "Bundle",
        kind: "searchset",
        total: page.total,
        link,
        entry,
    };
    serde_json::to_vec(&bundle).map_err(broken)
}

#[derive(serde::Deserialize)]
struct Named<'a> {
    #[serde(borrow)]
    id: std::borrow::Cow<'a, str>,
}

/// The same search, from another place on.
fn link(base: &str, raw: &[RawParameter], offset: usize) -> String {
    let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let mut pairs: Vec<String> = raw
        .iter()
        .filter(|parameter| parameter.name != "_offset")
        .map(|parameter| format!("{}={}", parameter.name, encode(&parameter.value)))
        .collect();
    if offset > 0 {
        pairs.push(format!("_offset={offset}"));
    }
    if pairs.is_empty() {
        return format!("{base}/Group");
    }
    format!("{base}/Group?{}", pairs.join("&"))
}
