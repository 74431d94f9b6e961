//! What blocks begin with: the header, and the Patient that they are about.

use bytes::{BufMut, Bytes, BytesMut};
use sluice_fhir::facts::scan;
use sluice_model::Selection;
use sluice_ports::{Block, PortError, PortKind};

use super::PATIENT;
use crate::chooser::Chooser;

/// The beginning of a block.
#[derive(Debug)]
pub(crate) struct Head {
    /// Whose block it is.
    pub(crate) id: String,
    /// The header, a line (R-192).
    pub(crate) header: Bytes,
    /// The Patient, a line, with what is asked for of it.
    pub(crate) patient: Bytes,
    /// Bytes of the Patient as it was read.
    pub(crate) bytes: u64,
    /// Whether the Patient meets the filters.
    pub(crate) is_chosen: bool,
}

/// The heads that whole lines of Patients give. A Patient that no filter chooses heads its block all the same.
pub(crate) fn heads(blocks: &[Bytes], selection: &Selection) -> Result<Vec<Head>, PortError> {
    let filters = Selection {
        filters: selection.filters.clone(),
        ..Selection::default()
    };
    let elements = Selection {
        elements: selection.elements.clone(),
        ..Selection::default()
    };
    let mut filter = Chooser::new(&filters, &[PATIENT]);
    let mut trim = Chooser::new(&elements, &[PATIENT]);
    let mut heads = Vec::new();
    for block in blocks {
        let mut rest = block.clone();
        while let Some(end) = memchr::memchr(b'\n', &rest) {
            let line = rest.split_to(end + 1);
            heads.push(head(line, &mut filter, &mut trim)?);
        }
    }
    Ok(heads)
}

fn head(
    line: Bytes,
    filter: &mut Option<Chooser>,
    trim: &mut Option<Chooser>,
) -> Result<Head, PortError> {
    let facts = scan(line.strip_suffix(b"\n").unwrap_or(&line));
    // Why it is none is not told: it is a patient's.
    let facts = facts.ok().filter(|facts| facts.kind == PATIENT);
    let facts = facts.ok_or_else(unreadable)?;
    let bytes = u64::try_from(line.len()).unwrap_or(u64::MAX);
    let is_chosen = chosen(filter, &line)?.is_some();
    let patient = chosen(trim, &line)?.unwrap_or(line);
    Ok(Head {
        header: header(&facts.id)?,
        id: facts.id,
        patient,
        bytes,
        is_chosen,
    })
}

/// What is left of a line.
fn chosen(chooser: &mut Option<Chooser>, line: &Bytes) -> Result<Option<Bytes>, PortError> {
    let Some(chooser) = chooser else {
        return Ok(Some(line.clone()));
    };
    let left = chooser.block(Block {
        kind: PATIENT,
        bytes: line.clone(),
        lines: 1,
    })?;
    Ok(left.map(|left| left.bytes))
}

fn header(id: &str) -> Result<Bytes, PortError> {
    const BEFORE: &[u8] =
        br#"{"resourceType":"Parameters","parameter":[{"name":"header","valueReference":{"reference":"#;
    let mut line = BytesMut::from(BEFORE).writer();
    let written = serde_json::to_writer(&mut line, &format!("{PATIENT}/{id}"));
    written.map_err(|error| PortError::permanent("writing the header of a block", error))?;
    let mut line = line.into_inner();
    line.extend_from_slice(b"}}]}\n");
    Ok(line.freeze())
}

fn unreadable() -> PortError {
    PortError::new(
        PortKind::Permanent,
        "reading a Patient to organize the export by",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_fhir::search::Filter;

    fn selection(filter: Option<&str>, element: Option<&str>) -> Selection {
        let mut selection = Selection::default();
        let filter = filter.map(|text| Filter::compile(text, "http://h").unwrap());
        selection.filters.extend(filter);
        if let Some(element) = element {
            selection.elements.add(element).unwrap();
        }
        selection
    }

    fn patients() -> Vec<Bytes> {
        let lines = [
            concat!(
                r#"{"resourceType":"Patient","id":"a","gender":"male"}"#,
                "\n",
                r#"{"resourceType":"Patient","id":"b","gender":"female"}"#,
                "\n",
            ),
            concat!(r#"{"resourceType":"Patient","id":"c"}"#, "\n"),
        ];
        lines
            .map(|lines| Bytes::from_static(lines.as_bytes()))
            .into()
    }

    #[test]
    fn r_192_a_head_is_a_header_that_names_the_patient_and_the_patient() {
        let heads = heads(&patients(), &Selection::default()).unwrap();
        let ids: Vec<&str> = heads.iter().map(|head| head.id.as_str()).collect();
        assert_eq!(ids, ["a", "b", "c"]);
        let header = concat!(
            r#"{"resourceType":"Parameters","parameter":"#,
            r#"[{"name":"header","valueReference":{"reference":"Patient/a"}}]}"#,
            "\n"
        );
        assert_eq!(heads[0].header, header);
        assert!(heads[0].patient.ends_with(b"\"male\"}\n"));
        assert!(heads.iter().all(|head| head.is_chosen));
    }

    #[test]
    fn a_filter_and_elements_leave_the_patient_where_it_heads_a_block() {
        let selection = selection(Some("Patient?gender=male"), Some("Patient.id"));
        let heads = heads(&patients(), &selection).unwrap();
        let chosen: Vec<bool> = heads.iter().map(|head| head.is_chosen).collect();
        assert_eq!(chosen, [true, false, false]);
        for head in &heads {
            let patient = std::str::from_utf8(&head.patient).unwrap();
            assert!(patient.contains(&head.id) && !patient.contains("gender"));
        }
    }

    #[test]
    fn what_is_no_patient_heads_nothing_and_is_not_told() {
        for line in [
            "{\"resourceType\":\"Group\",\"id\":\"secret\"}\n",
            "secret\n",
        ] {
            let refused = heads(&[Bytes::from(line)], &Selection::default()).unwrap_err();
            assert_eq!(refused.kind, PortKind::Permanent);
            assert!(!refused.chain().contains("secret"));
        }
    }
}
